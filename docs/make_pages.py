"""Write ``docs/tasks``: a page per task, from the tables that the code uses.

``python docs/make_pages.py`` writes the pages; with ``--check`` it names those that are not as it
would write them.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from drone_formation import RewardWeights, Swarms
from drone_formation.airframe import CONTROL_STEP
from drone_formation.observation import OFFSET_SCALES, observation_size, observation_table
from drone_formation.tasks import CLEARANCE, RING_RADIUS, TASKS, Task

FOLDER = Path(__file__).parent / "tasks"
HEAD = "<!-- Written by docs/make_pages.py: change the code it reads, not this page. -->\n"
#: What each version of a task's id brought, from v0 on, by the task's name; a change of dynamics,
#: rewards or observations adds one.  Tasks that are not here have had one version.
VERSIONS: dict[str, tuple[str, ...]] = {}
FIRST = "the first version."
#: Sentences for tasks whose formation is drawn anew for every episode, and so has no function.
EXTRA = {
    "hover": "A drone's target is the place where its episode starts and, after a respawn, the "
    "place where it was put back.",
    "formation": "With `points`, an (N, 3) array in metres, drone i flies to point i; any two "
    f"must be at least {CLEARANCE:g} collision distances apart. Without, every episode draws a "
    "random cloud of points, anywhere from tight to nearly as wide as the arena.",
}
#: Arguments of ``Swarms`` that views set, or take elsewhere (a seed goes to ``reset``).
HIDDEN = {"task", "num_swarms", "seed"}


def prose(thing: object) -> list[str]:
    """The paragraphs of a docstring as Markdown, up to its first section; none if it has none."""
    text = (inspect.getdoc(thing) or "").replace("``", "`")
    text = re.sub(r":\w+:`(\w+)`", r"`\1`", text)
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    sections = ("Args:", "Returns:", "Raises:", "Attributes:")
    end = next((i for i, part in enumerate(paragraphs) if part.startswith(sections)), None)
    return [part for part in paragraphs[:end] if part]


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    cells = [head, ("---",) * len(head), *rows]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in cells]
    return "\n".join("| " + " | ".join(row) + " |" for row in escaped)


def arguments(swarms: Swarms, task: Task) -> list[tuple[str, str, str]]:
    """Name, default and meaning of the keywords of an id, from the docstring of ``Swarms``."""
    section = inspect.getdoc(Swarms).split("Args:\n")[1].split("\n\n")[0]
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    parameters = inspect.signature(Swarms).parameters
    if [name for name, _ in found] != list(parameters):
        raise ValueError("the docstring of Swarms does not list its arguments in order")
    rows = []
    for name, meaning in found:
        if name in HIDDEN or (name in ("points", "colours") and task.name != "formation"):
            continue
        if name == "paced" and not task.races:
            continue
        default: Any = parameters[name].default
        stored = {"reward": "reward_weights"}.get(name, name)
        if default is None and getattr(swarms, stored, None) is not None:
            default = getattr(swarms, stored)
            simple = isinstance(default, (int, float, str))
            text = repr(default) if simple else f"{type(default).__name__}()"
        else:
            text = repr(default).replace("'", '"')
        rows.append((f"`{name}`", f"`{text}`", " ".join(meaning.split())))
    rows.append(("`render_mode`", "`None`", '"rgb_array" (pictures), "human" (a window) or None.'))
    return rows


def description(task: Task) -> list[str]:
    """What the swarm does, in paragraphs."""
    parts = [task.summary[0].upper() + task.summary[1:] + "."]
    if task.formation is not None and task.name != "race":
        parts += prose(task.formation)
    if task.formation is not None:
        parts += prose(task.rings or task.trajectory)
    if task.of:
        links = ", ".join(f"[{name}]({name}.md)" for name in task.of)
        parts.append(f"All with the same chance: {links}. They share one arena.")
    if task.name in EXTRA:
        parts.append(EXTRA[task.name])
    if task.name == "race":
        parts.append(
            f"A ring has a radius of {RING_RADIUS:g} m; passing it along its normal counts, and "
            "the next ring becomes the drone's target. After the last comes the first again."
        )
        parts.append(
            "With `paced=True` every drone has a place on one common course through all rings. "
            "Places move around it, clear of each other, and are the targets: that is how the "
            "classical pilot and the policy that comes with the package race."
        )
    return parts


def history(task: Task) -> str:
    """What each version of a task brought, a line each, the latest first.

    Raises:
        ValueError: ``VERSIONS`` tells of more or of fewer versions than there are.
    """
    brought = VERSIONS.get(task.name, (FIRST,))
    if len(brought) != task.version + 1:
        raise ValueError(
            f"{task.id} has versions v0 to v{task.version}, and VERSIONS in docs/make_pages.py "
            f"tells of {len(brought)}: say there what each of them brought"
        )
    lines = [f"- v{number}: {text}" for number, text in enumerate(brought)]
    return "\n".join(reversed(lines))


def page(task: Task) -> str:
    """The documentation of one task."""
    swarms = Swarms(task.name)
    count, size = swarms.num_drones, observation_size(swarms.neighbours)
    extents = " × ".join(f"{half:g}" for half in swarms.arena.round(2))
    formula = inspect.getdoc(RewardWeights).split("::\n\n")[1].split("\n\n")[0]
    rotors = list(enumerate(("+x", "+y", "−x", "−y")))
    slices = observation_table(swarms.neighbours)
    weights = [(f"`{f.name}`", f"{f.default:g}") for f in fields(RewardWeights)]
    nearest = ", ".join(f"{scale:g} m" for scale in OFFSET_SCALES)
    box = "Box(-1.0, 1.0, ({}), float32)"
    start = [
        "Every drone starts at a random place in the arena, at rest, level, facing +x, its rotors "
        f"at hover speed. No two start nearer than {CLEARANCE:g} collision distances. The arena "
        f"has half extents {extents} m for {count} drones and grows with the swarm where it must."
    ]
    if task.formation is not None or task.name == "formation":
        rings = "first rings are" if task.name == "race" else "slots are"
        choice = (
            "" if task.name == "race" else
            ' (`assignment="fixed"`) or by the least summed squared distance (`"optimal"`)'
        )  # fmt: skip
        start.append(f"The {rings} given to the drones by their order{choice}.")
    if task.name == "race":
        start[-1] = "Their first rings are staggered at random, and so is the course."
    sections = {
        "Description": description(task),
        "Action Space": [
            f"`{box.format('4,')}` per drone: one number per rotor. 0 commands hover speed, 1 the "
            "drone's top rotor speed, −1 a stop, linear between. Actions beyond [−1, 1] are "
            "clipped; NaN and infinity are refused with a `ValueError`. One action lasts "
            f"{CONTROL_STEP:g} s.",
            table(
                ("Num", "Action", "Min", "Max"),
                [
                    (str(i), f"speed of the rotor at {place} of the body", "−1", "1")
                    for i, place in rotors
                ],
            ),
        ],
        "Observation Space": [
            f"`{box.format(f'{size},')}` per drone, every vector in the drone's own body frame; "
            "`squash(v, c) = v / (c + |v|)`. The offset to the target is seen at several scales "
            f"({nearest}).",
            table(
                ("Columns", "Name", "Meaning"),
                [(f"{s.start}–{s.start + s.size - 1}", f"`{s.name}`", s.meaning) for s in slices],
            ),
            prose(observation_table)[1],
        ],
        "Rewards": [
            "With d the distance to the target in metres, the reward of one drone in one step is",
            f"```text\n{inspect.cleandoc(formula)}\n```",
            "The weights, changed with `reward=RewardWeights(...)`:",
            table(("Weight", "Default"), weights),
            *(part for part in prose(RewardWeights) if part.startswith("`")),
            "The swarm as one agent (`gymnasium.make`) gets the mean over its drones; "
            '`info["rewards"]` has each drone\'s own.',
        ],
        "Starting State": start,
        "Episode End": [
            f"**Truncation**: after `max_steps` ({swarms.max_steps}) steps, "
            f"{swarms.max_steps * CONTROL_STEP:g} s.",
            '**Termination**: with `crash="respawn"` (the default) none: a drone that leaves the '
            "arena pays for it in its reward and is put back at random, at rest. With "
            '`crash="terminate"` a drone that leaves the arena terminates, and the swarm as one '
            "agent terminates when no drone is left.",
        ],
        "Arguments": [
            "```python\n"
            f'env = gym.make("{task.id}", num_drones={count}, max_steps={swarms.max_steps})\n```',
            table(("Keyword", "Default", "Meaning"), arguments(swarms, task)),
        ],
        "Version History": [history(task)],
    }
    facts = [
        ("Action space", f"`{box.format(f'{count}, 4')}`"),
        ("Observation space", f"`{box.format(f'{count}, {size}')}`"),
        ("Gymnasium", f'`gym.make("{task.id}")`, `gym.make_vec("{task.id}", num_envs=16)`'),
        ("PettingZoo", f'`drone_formation.parallel_env("{task.id}")`, agents `drone_0` … '
                       f"`drone_{count - 1}`, spaces `({size},)` and `(4,)`"),
    ]  # fmt: skip
    body = [HEAD, f"# {task.id}", table(("", ""), facts)]
    for title, parts in sections.items():
        body += [f"## {title}", *parts]
    return "\n\n".join(part.strip("\n") for part in body) + "\n"


def pages() -> dict[str, str]:
    """Text of every page, by file name."""
    rows = [(f"[{task.id}]({task.name}.md)", task.summary) for task in TASKS.values()]
    index = f"{HEAD}\n# Tasks\n\n{table(('Id', 'What happens'), rows)}\n"
    return {"README.md": index, **{f"{task.name}.md": page(task) for task in TASKS.values()}}


def stale() -> list[str]:
    """Names of the files that differ from what would be written."""
    wanted = pages()
    found = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    return sorted(name for name in wanted | found if wanted.get(name) != found.get(name))


def main() -> int:
    """Write the pages, or check them; the exit status."""
    parser = argparse.ArgumentParser(description="Write docs/tasks.")
    parser.add_argument("--check", action="store_true", help="write nothing, name what differs")
    if parser.parse_args().check:
        names = stale()
        print("up to date" if not names else "out of date: " + ", ".join(names))
        return bool(names)
    FOLDER.mkdir(exist_ok=True)
    wanted = pages()
    for path in FOLDER.glob("*.md"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")
    print(f"wrote {len(wanted)} files to {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

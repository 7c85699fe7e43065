"""Write ``docs/tasks.md``: every task, and what they share, from the tables that the code uses.

``python docs/make_pages.py`` writes the page; with ``--check`` it says whether it is as it would be
written.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from drone_formation import RewardWeights, Swarms
from drone_formation.airframe import CONTROL_STEP
from drone_formation.control import ACTION_SLICES
from drone_formation.observation import size_of
from drone_formation.tasks import BUILT_IN, CLEARANCE, RING_RADIUS, Task

FILE = Path(__file__).parent / "tasks.md"
HEAD = "<!-- Written by docs/make_pages.py: change the code it reads, not this page. -->"
#: What each version of a task's id brought, from v0 on, by the task's name; a change of dynamics,
#: rewards or observations adds one.  Tasks that are not here have had one version.
VERSIONS: dict[str, tuple[str, ...]] = {}
FIRST = "the first version."
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


def arguments() -> list[tuple[str, str, str]]:
    """Name, default and meaning of the keywords of every id, from the docstring of ``Swarms``."""
    section = (inspect.getdoc(Swarms) or "").split("Args:\n")[1].split("\n\n")[0]
    found = re.findall(r"^ {4}([\w, ]+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    parameters = inspect.signature(Swarms).parameters
    names = [name for together, _ in found for name in together.split(", ")]
    if names != list(parameters):
        raise ValueError("the docstring of Swarms does not list its arguments in order")
    rows = []
    for together, meaning in found:
        shown = [name for name in together.split(", ") if name not in HIDDEN]
        if shown:
            default: Any = repr(parameters[shown[0]].default).replace("'", '"')
            quoted = ", ".join(f"`{name}`" for name in shown)
            rows.append((quoted, f"`{default}`", " ".join(meaning.replace("``", "`").split())))
    rows.append(("`render_mode`", "`None`", '"rgb_array" (pictures), "human" (a window) or None.'))
    return rows


def description(task: Task, swarms: Swarms) -> list[str]:
    """What the swarm does, in paragraphs."""
    parts = [task.summary[0].upper() + task.summary[1:] + "."]
    if task.formation is not None:
        parts += [] if task.rings else prose(task.formation)
        parts += prose(task.rings or task.trajectory)
    if task.of:
        links = ", ".join(f"[{name}](#{anchor(BUILT_IN[name])})" for name in task.of)
        parts.append(f"All with the same chance: {links}. They share one arena.")
    if task.holds:
        parts.append(
            "A drone's target is the place where its episode starts and, after a respawn, the "
            "place where it was put back."
        )
    if task.accepts_points:
        parts.append(
            "With `points`, an (N, 3) array in metres, drone i flies to point i; any two must be "
            f"at least {CLEARANCE:g} collision distances apart, and the arena grows with them. "
            "Without, every episode draws a random cloud of points, anywhere from tight to nearly "
            "as wide as the arena."
        )
    if task.rings:
        parts.append(
            f"A ring has a radius of {RING_RADIUS:g} m; passing it along its normal counts, and "
            "the next ring follows; after the last comes the first again. First rings are "
            "staggered at random. In a paced race, the default, every drone has a place on one "
            "common course through all rings; places move around it, clear of each other, and are "
            "the targets. With `paced=False` the next ring is the target."
        )
    extents = " × ".join(f"{half:g}" for half in swarms.arena.round(2))
    parts.append(f"Arena for {swarms.num_drones} drones: half extents {extents} m.")
    return parts


def pays(task: Task) -> str:
    """What a task pays where that is not the default."""
    if task.of:
        return "Each episode pays what its task pays."
    default, own = asdict(RewardWeights()), asdict(task.reward)
    differing = [f"`{name}` {value:g}" for name, value in own.items() if value != default[name]]
    return f"Its weights differ in {', '.join(differing)}." if differing else ""


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


def anchor(task: Task) -> str:
    """Where a task's section is on the page."""
    return task.id.lower()


def page(task: Task) -> str:
    """The section of one task."""
    told = history(task)  # first: a version that nothing is told of gets no section
    parts = [f"### {task.id}", *description(task, Swarms(task)), pays(task), told]
    return "\n\n".join(part for part in parts if part)


def common() -> list[str]:
    """What all tasks share."""
    swarms = Swarms("flag")
    count, slices = swarms.num_drones, swarms.observation_table
    size, box = size_of(slices), "Box(-1.0, 1.0, ({}), float32)"
    formula = (inspect.getdoc(RewardWeights) or "").split("::\n\n")[1].split("\n\n")[0]
    weights = [(f"`{f.name}`", f"{f.default:g}") for f in fields(RewardWeights)]
    actions = [
        (f'`"{mode}"`', f"`{name}`", str(size_), kind, meaning)
        for mode, rows in ACTION_SLICES.items()
        for name, size_, kind, meaning in rows
    ]
    return [
        "## What all tasks share",
        "`gym.make(id)` is the swarm as one agent: observation "
        f"`{box.format(f'{count}, {size}')}`, "
        f"action `{box.format(f'{count}, 4')}`; `gym.make_vec(id, num_envs=16)` steps 16 swarms; "
        f"`drone_formation.parallel_env(id)` has the agents `drone_0` … `drone_{count - 1}` with "
        f"spaces `({size},)` and `(4,)`.",
        "### Action",
        "Four numbers in [−1, 1] per drone; those beyond are clipped, NaN and infinity are refused "
        f"with a `ValueError`. One action lasts {CONTROL_STEP:g} s. What they mean is chosen by "
        "`control`; the body frame has x forward, y left, z up, and rotors 0 to 3 sit at +x, +y, "
        "−x, −y:",
        table(("Mode", "Name", "Size", "Kind", "Meaning"), actions),
        "### Observation",
        "float32 in [−1, 1], every vector in the drone's own body frame; "
        "`squash(v, c) = v / (c + |v|)`. The kind says how a slice changes under the symmetries of "
        "a quadrotor.",
        table(
            ("Columns", "Name", "Kind", "Meaning"),
            [
                (f"{s.start}–{s.start + s.size - 1}", f"`{s.name}`", s.kind, s.meaning)
                for s in slices
            ],
        ),
        "Where there are fewer other drones than observed neighbours, what is left over is zero.",
        "### Reward",
        "With d the distance to the target in metres, the reward of one drone in one step is",
        f"```text\n{inspect.cleandoc(formula)}\n```",
        "The weights where a task says nothing else, changed with `reward=RewardWeights(...)`:",
        table(("Weight", "Default"), weights),
        *(part for part in prose(RewardWeights) if part.startswith("`")),
        'The swarm as one agent gets the mean over its drones; `info["rewards"]` has them all. '
        "In the step of a crash all terms are of the crash; in that of a ring, of the ring "
        "that was passed.",
        "### Start and end of an episode",
        "Every drone starts at a random place in the arena, at rest, level, facing +x, its rotors "
        f"at hover speed. No two start nearer than {CLEARANCE:g} collision distances. Slots are "
        'given to the drones by their order (`assignment="fixed"`) or by the least summed squared '
        'distance (`"optimal"`). The arena grows with the swarm where it must.',
        f"An episode is truncated after `max_steps` ({swarms.max_steps}) steps, "
        f'{swarms.max_steps * CONTROL_STEP:g} s. With `crash="respawn"` (the default) a drone that '
        "leaves the arena pays for it in its reward and is put back at random, at rest. With "
        '`crash="terminate"` it terminates, and the swarm as one agent terminates when no drone is '
        "left.",
        "### Keywords",
        table(("Keyword", "Default", "Meaning"), arguments()),
    ]


def document() -> str:
    """The whole page."""
    rows = [(f"[{task.id}](#{anchor(task)})", task.summary) for task in BUILT_IN.values()]
    body = [HEAD, "# Tasks", table(("Id", "What happens"), rows), *common(), "## Each task"]
    body += [page(task) for task in BUILT_IN.values()]
    return "\n\n".join(part.strip("\n") for part in body) + "\n"


def main() -> int:
    """Write the page, or check it; the exit status."""
    parser = argparse.ArgumentParser(description="Write docs/tasks.md.")
    parser.add_argument("--check", action="store_true", help="only say whether it differs")
    if parser.parse_args().check:
        same = FILE.is_file() and FILE.read_text(encoding="utf-8") == document()
        print("up to date" if same else f"out of date: {FILE.name}")
        return int(not same)
    FILE.write_text(document(), encoding="utf-8", newline="\n")
    print(f"wrote {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

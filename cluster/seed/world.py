"""The small world a fresh site is filled with: who lives there and what they say. Data only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Person:
    """Someone with an account."""

    username: str
    display_name: str
    bio: str


@dataclass(frozen=True)
class SeedPost:
    """A post, the scene attached to it, who likes it and what is answered."""

    author: str
    text: str
    scene: str | None = None
    likes: tuple[str, ...] = ()
    comments: tuple[tuple[str, str], ...] = ()


PEOPLE = (
    Person("mara", "Mara Lindqvist", "Harbours, ferries, bad weather. Camera always wet."),
    Person("tomasz", "Tomasz Wolny", "I film out of train windows. Sleeper cars only."),
    Person("ines", "Inês Prado", "Ink, water, patience. New loops on Thursdays."),
    Person("dev", "Dev Anand Rao", "Amateur astronomer. I animate what clouds hide."),
    Person("aili", "Aili Niemi", "North of the tree line. Sound recordist."),
    Person("kaz", "Kaz Moreau", "Synths and night drives. Live most evenings."),
    Person("bea", "Bea Okafor", "Watches everything, comments on half of it."),
)

FOLLOWS = (
    *(("bea", name) for name in ("mara", "tomasz", "ines", "dev", "aili", "kaz")),
    *(("mara", name) for name in ("aili", "tomasz")),
    *(("kaz", name) for name in ("ines", "dev")),
    *(("aili", name) for name in ("mara", "dev")),
    ("tomasz", "kaz"),
    ("ines", "mara"),
    ("dev", "ines"),
)

POSTS = (
    SeedPost(
        "tomasz",
        "The 23:10 to the coast. Nobody in the compartment but me and the luggage of someone who "
        "got off two stations too early.",
        "night-train",
        ("bea", "mara", "kaz"),
        (("kaz", "That post going by at 0:04 made me duck."),),
    ),
    SeedPost(
        "dev",
        "Five worlds, one lamp. The inner one takes three seconds for its year, the outer one most "
        "of the film.",
        "orbits",
        ("ines", "aili", "bea"),
        (("bea", "Which of them is ours?"), ("dev", "None. Ours has a Monday.")),
    ),
    SeedPost("bea", "New here. Following everybody until I know better.", None, ("mara", "kaz")),
    SeedPost(
        "aili",
        "First snow this year. Recorded at four in the morning, when even the dogs were asleep.",
        "first-snow",
        ("mara", "dev", "bea", "tomasz"),
        (("mara", "You can hear that there is nothing to hear."),),
    ),
    SeedPost(
        "ines",
        "Three drops, one glass, no editing. The colours decide for themselves.",
        "ink",
        ("kaz", "bea"),
        (
            ("kaz", "May I use this behind Friday's set?"),
            ("ines", "Please do, and send me a tape."),
        ),
    ),
    SeedPost(
        "mara",
        "The last boat always leaves one minute early so that nobody has to run. 20:41, the "
        "light did the rest.",
        "harbour",
        ("aili", "ines", "tomasz", "bea"),
        (("tomasz", "I have missed that boat. Twice."), ("bea", "The sail! Watch it to the end.")),
    ),
    SeedPost(
        "kaz",
        "Drive until the sun gives up. It runs in the live, too: come and say hello.",
        "neon-road",
        ("tomasz", "dev", "bea", "ines"),
        (("dev", "Sun stripes scrolling down is the detail I came for."),),
    ),
)

DEMO_OWNER = "kaz"
DEMO_TITLE = "Neon road, all night"
DEMO_SCENE = "neon-road"
"""Who is live after seeding, under which title, with which scene."""

UPCOMING = (
    ("mara", "The last boat, from the quay", 26),
    ("ines", "Ink and water: a new loop, drawn live", 75),
)
"""Who has announced which live, and in how many hours it begins."""

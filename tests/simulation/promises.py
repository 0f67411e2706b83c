"""The promises to players: what the simulation looks at, and how it says that one was broken."""


class Violation(AssertionError):
    """A promise was broken. `kind` is one of PROMISES."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{PROMISES[kind]}: {detail}")
        self.kind = kind


PROMISES = {
    "chain": "the versions of a line are not one chain",
    "rolled back": "an accepted write was rolled back",
    "doubled": "gains were doubled or made of nothing",
    "writer": "a line was written without its lease",
    "fenced": "a fenced writer wrote",
    "epoch": "an epoch was granted twice or went back",
    "taken": "a lease in force was given to another world",
    "main": "an untrusted world changed main",
    "forgotten": "an acknowledged write is not in the chain",
    "refused": "the rightful writer was refused, and its player put out",
    "told saved": "a player was told that all is saved, and it was not",
    "admitted": "a player was admitted with another state than the master's",
    "handoff": "gains were lost in a handoff",
    "removed": "a player was taken out of the zone before the master had the state",
    "shown": "a player was shown gains that were on no disk",
    "kept": "gains that the world had on its disk and had shown were lost",
    "aside": "a write was set aside that the master has or would have taken",
    "given": "gains were given although nothing could be saved",
    "stayed": "a player whose saves had failed for minutes was not put out",
    "put out": "a player was put out although the master was only away",
    "vanished": "gains vanished although nothing had died",
    "twice": "a thing is there twice",
    "nothing": "things or coins came out of nothing in an exchange",
    "half": "an exchange was half done",
    "undone": "an exchange was undone by a document from before it",
    "lost": "gains were lost in an exchange",
    "told": "a player was told another outcome of an exchange than the master's",
    "settled": "a player was given another document after an exchange than the master's",
    "stuck": "a session is stuck",
    "astray": "a player cannot play although all is well",
    "left behind": "something is left behind after everybody has left",
    "move": "a session made a move that its table does not know",
}

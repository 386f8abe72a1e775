"""The search for near copies against datasketch and rensa, where they can be imported: the same words of the same
problems, in one process, in turn. What reads problems and programs is not in it.

    python -m benchmarks.curation.peers [--json] [--problems N] [--pairs N]

Each side says which problems repeat an earlier one, by sets of 5 words in a row at a similarity of 0.8. datasketch:
`MinHashLSH` with 128 functions, candidates checked by their estimated similarity. rensa: `RMinHashDeduplicator`, with
128 functions in 16 bands, does the same. Recall is measured on the labelled copies that keep their words (layout,
paraphrase); `other_constants` is how many problems with other constants each side calls copies.
"""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.curation.labelled import Labelled, make
from benchmarks.measure import arguments, in_turn, spread
from rrtf_ray.core.minhash import NearCopies
from rrtf_ray.core.similarity import NEAR, RUN, filled
from rrtf_ray.core.words import statement

GOALS = {"near_copies_against_datasketch": ">= 1", "near_copies_against_rensa": ">= 1"}
_PERMUTATIONS = 128
Search = Callable[[Sequence[Sequence[str]]], set[int]]


def ours(texts: Sequence[Sequence[str]]) -> set[int]:
    near = NearCopies(NEAR)
    for start in range(0, len(texts), 1000):
        near.add(texts[start : start + 1000])
    return set(near.first_copies())


def datasketch(texts: Sequence[Sequence[str]]) -> set[int]:
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=NEAR, num_perm=_PERMUTATIONS)
    kept: dict[int, Any] = {}
    found = set()
    for number, words in enumerate(texts):
        hashed = MinHash(num_perm=_PERMUTATIONS)
        hashed.update_batch([run.encode() for run in _runs(words)])
        if any(hashed.jaccard(kept[other]) >= NEAR for other in index.query(hashed)):
            found.add(number)
        else:
            kept[number] = hashed
            index.insert(number, hashed)
    return found


def rensa(texts: Sequence[Sequence[str]]) -> set[int]:
    from rensa import RMinHash, RMinHashDeduplicator

    seen = RMinHashDeduplicator(NEAR, _PERMUTATIONS, True, 16)
    found = set()
    for number, words in enumerate(texts):
        hashed = RMinHash(_PERMUTATIONS, 42)
        hashed.update(_runs(words))
        if not seen.add(str(number), hashed):
            found.add(number)
    return found


def _runs(words: Sequence[str]) -> list[str]:
    words = filled(words)
    return list({" ".join(words[place : place + RUN]) for place in range(len(words) - RUN + 1)})


def measure(problems: int = 20_000, pairs: int = 3) -> dict[str, Any]:
    """Ratios of problems per second; of peers that cannot be imported there are none."""
    labelled = make(problems // 8)
    texts = [statement(p.prompt, p.suffix, p.entry_point).prose for p in labelled.problems]
    figures: dict[str, Any] = {"near_copies_problems": len(texts), "ours": _quality(labelled, ours(texts))}
    for name, peer in (("datasketch", datasketch), ("rensa", rensa)):
        if importlib.util.find_spec(name) is None:
            continue
        figures[name] = _quality(labelled, peer(texts))
        found = in_turn(pairs, lambda: _seconds(ours, texts), lambda peer=peer: _seconds(peer, texts))  # type: ignore[misc]
        ratios = spread([theirs / mine for mine, theirs in found])
        figures[f"near_copies_against_{name}"] = {key: round(value, 2) for key, value in ratios.items()}
    return figures


def _seconds(search: Search, texts: Sequence[Sequence[str]]) -> float:
    began = time.process_time()
    search(texts)
    return time.process_time() - began


def _quality(labelled: Labelled, found: set[int]) -> dict[str, float]:
    kinds = [labelled.kinds.get(problem.id, "") for problem in labelled.problems]
    copies = [number for number, kind in enumerate(kinds) if kind in ("layout", "paraphrase")]
    constants = [number for number, kind in enumerate(kinds) if kind == "constants"]
    return {
        "recall": round(len(found.intersection(copies)) / len(copies), 4),
        "other_constants": len(found.intersection(constants)),
    }


def main() -> None:
    args = arguments(__doc__, problems=20_000, pairs=3)
    print(json.dumps(measure(args.problems, args.pairs) | {"goals": GOALS}, indent=None if args.json else 1))


if __name__ == "__main__":
    main()

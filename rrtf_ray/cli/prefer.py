"""`rrtf prefer`."""

from __future__ import annotations

import argparse
from typing import Any

from rrtf_ray.cli.arguments import command, positive


def add(commands: Any) -> None:
    """The command that asks people."""
    prefer = command(
        commands,
        "prefer",
        _prefer,
        "a page where people compare two programs of a problem; what they said, exported and imported",
        "Serve a page where experts compare the programs of a round that its tests do not order. Votes are kept in "
        "RUN/feedback.sqlite, or in any SQL database. With --status, --export, --import or --close, do that instead.",
    )
    prefer.add_argument("--run", metavar="RUN", dest="run_dir", help="the run directory whose programs are compared")
    prefer.add_argument("--round", type=positive, metavar="N", help="default: the newest round with groups")
    prefer.add_argument(
        "--database",
        metavar="URL",
        help="where votes are kept (default: feedback.database of the run, or RUN/feedback.sqlite)",
    )
    _add_serving(prefer)
    _add_queue(prefer)
    instead = prefer.add_mutually_exclusive_group()
    instead.add_argument("--status", action="store_true", help="print votes, agreement, consistency and conflicts")
    instead.add_argument("--export", metavar="FILE", help="write the votes (.parquet or .jsonl)")
    instead.add_argument("--import", metavar="FILE", dest="import_file", help="read votes or pairs from a file")
    instead.add_argument(
        "--import-events", metavar="FOLDER", help="read votes from what editors said of completions (gateway.events)"
    )
    instead.add_argument(
        "--serve", action="store_true", help="put the page at /prefer of the running Ray Serve service"
    )
    instead.add_argument("--close", action="store_true", help="take no more votes on the round")
    prefer.add_argument(
        "--form", choices=("votes", "trl"), default="votes", help="what --export writes (default votes)"
    )
    prefer.add_argument("--json", action="store_true", help="with --status: print one JSON object")


def _add_serving(prefer: argparse.ArgumentParser) -> None:
    prefer.add_argument("--host", default="127.0.0.1", help="interface to listen on (default 127.0.0.1: this machine)")
    prefer.add_argument("--port", type=int, default=8010, help="default 8010; 0 takes a free one")
    prefer.add_argument(
        "--keys", metavar="FILE", help="keys of the annotators (`rrtf key`); default: one annotator on this machine"
    )
    prefer.add_argument("--annotator", metavar="NAME", help="who votes where there are no keys (default: your login)")
    prefer.add_argument(
        "--lead", action="append", default=[], metavar="NAME", help="who may see the status and settle conflicts"
    )
    prefer.add_argument("--show-tests", action="store_true", help="show what the tests say before the choice")
    prefer.add_argument("--rubric", metavar="FILE", help="the instructions that annotators see, as plain text")


def _add_queue(prefer: argparse.ArgumentParser) -> None:
    def share_of(name: str, default: float, help: str) -> None:
        prefer.add_argument(name, type=_share, default=default, metavar="F", help=f"{help} (default {default:g})")

    share_of("--overlap", 0.1, "share of pairs that two annotators answer, to measure agreement")
    share_of("--random", 0.2, "share of pairs that are asked in a random order, as a baseline")
    share_of("--repeat", 0.1, "share of pairs that come back to their annotator with the sides swapped")
    prefer.add_argument(
        "--lease-minutes", type=_minutes, default=30.0, metavar="N", help="an abandoned pair goes back (default 30)"
    )
    prefer.add_argument("--seed", type=int, default=0, metavar="N", help="of sides, arms and repetitions (default 0)")


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share between 0 and 1")
    return value


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1.0 <= value <= 10_000.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes from 1 to 10000")
    return value


def _prefer(args: argparse.Namespace) -> int:
    from rrtf_ray.feedback import command as prefer

    place = prefer.Place(args.run_dir, args.round, args.database)
    if args.status:
        prefer.show_status(place, args.json)
    elif args.export:
        prefer.export(place, args.export, args.form)
    elif args.import_file:
        prefer.import_(place, args.import_file)
    elif args.import_events:
        prefer.import_events(place, args.import_events)
    elif args.close:
        prefer.close(place)
    else:
        settings = prefer.QueueSettings(
            seed=args.seed,
            overlap=args.overlap,
            random=args.random,
            repeat=args.repeat,
            lease_s=60 * args.lease_minutes,
        )
        serving = prefer.Serving(
            host=args.host,
            port=args.port,
            keys=args.keys,
            annotator=args.annotator,
            leads=tuple(args.lead),
            show_tests=args.show_tests,
            rubric=args.rubric,
        )
        if not args.serve:
            prefer.ask(place, settings, serving)
            return 0
        asking = prefer.prepare(place, settings, serving)

        from rrtf_ray.deployments.prefer import deploy_on_cluster

        deploy_on_cluster(asking)
    return 0

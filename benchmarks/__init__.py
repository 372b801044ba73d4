"""Peers side by side: `python -m benchmarks` from the project's root, or `make bench`.

`task` says what a benchmark is, `tasks/` holds them, `worker` runs one peer in a process of its own,
`harness` checks that the peers agree and times them in turn, `report` prints and writes what came out.
"""

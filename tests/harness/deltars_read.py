"""Prints the rows of a Delta table, read by delta-rs, as JSON lines; or deletes some of them.

usage: deltars_read.py TABLE            prints
       deltars_read.py TABLE PREDICATE  deletes the rows for which the predicate is true
"""

import json
import sys

from deltalake import DeltaTable

from plain import plain


def main() -> int:
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    table = DeltaTable(sys.argv[1])
    if len(sys.argv) == 3:
        table.delete(sys.argv[2])
        return 0
    for row in table.to_pyarrow_table().to_pylist():
        print(json.dumps({name: plain(value) for name, value in row.items()}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())

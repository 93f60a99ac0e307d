"""The least that anything can do: decode the columns of a Parquet file, and nothing else.

Run by `python -m benchmarks.drift_decode FILE COLUMN...`, on one thread, which costs the least CPU.
"""

import sys

import pyarrow.parquet as pq


def main(arguments: list[str]) -> int:
    path, *columns = arguments
    batches = pq.ParquetFile(path).iter_batches(columns=columns, use_threads=False)
    print(sum(len(batch) for batch in batches))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Named questions with recorded answers; `python -m benchmarks NAME` asks one again."""

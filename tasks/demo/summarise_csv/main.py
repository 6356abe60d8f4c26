import csv
import io

import runboard

PARTS = 20  # how often a long file tells how far it is


@runboard.task
def summarise(**given):
    text = given["csv"]
    records = [record for record in csv.reader(io.StringIO(text, newline="")) if record]
    if not records:
        raise runboard.Fatal("The CSV holds no line. Paste a file with a header line.")
    columns, rows = records[0], records[1:]
    runboard.log.info(f"{len(columns)} columns: {', '.join(columns)}")
    filled = dict.fromkeys(columns, 0)
    every = max(1, len(rows) // PARTS)
    for number, row in enumerate(rows, start=1):
        for column, value in zip(columns, row, strict=False):
            filled[column] += bool(value.strip())
        if number % every == 0:
            runboard.progress(number / len(rows), f"{number} of {len(rows)} records")
    runboard.log.info(f"{len(rows)} records")
    return {"rows": len(rows), "columns": columns, "filled": filled}

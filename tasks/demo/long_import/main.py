import time

import runboard


def load(part, seconds):
    time.sleep(seconds)
    return {"part": part, "records": 100}


@runboard.task
def import_parts(steps=10, seconds=1):
    imported = 0
    for part in range(1, steps + 1):
        imported += runboard.step(f"part-{part}", load, part, seconds)["records"]
        runboard.log.info(f"part {part} of {steps} is in: {imported} records")
        runboard.progress(part / steps, f"Part {part} of {steps}")
    return {"imported": imported}

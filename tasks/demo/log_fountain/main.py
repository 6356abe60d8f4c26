import sys

import runboard

COLOURS = (31, 32, 33, 34, 35, 36)


@runboard.task
def fountain(lines=1000):
    every = max(1, lines // 20)
    for number in range(1, lines + 1):
        colour = COLOURS[number % len(COLOURS)]
        print(f"\x1b[{colour}mdrop {number}\x1b[0m of {lines}", file=sys.stderr if number % 50 == 0 else sys.stdout)
        if number % every == 0:
            runboard.progress(number / lines, f"{number} of {lines} lines")
    return {"lines": lines}

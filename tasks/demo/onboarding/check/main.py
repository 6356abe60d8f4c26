import time

import runboard


def ask_for(reference, name, seconds):
    time.sleep(seconds)
    runboard.log.info(f"{reference} speaks well of {name}")
    return True


@runboard.task
def check(name="Grace Hopper", seconds=0.5):
    references = ("Harvard", "the Navy")
    answers = [runboard.step(f"ask {reference}", ask_for, reference, name, seconds) for reference in references]
    return {"passed": all(answers), "references": len(answers)}

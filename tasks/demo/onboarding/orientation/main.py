import time

import runboard

SESSIONS = ("Welcome", "How we work", "First task")


@runboard.task
def orientate(name="Grace Hopper", seconds=0.5):
    for session in SESSIONS:
        runboard.step(session, time.sleep, seconds)
        runboard.log.info(f"{session}: {name} was there")
    return {"sessions": list(SESSIONS)}

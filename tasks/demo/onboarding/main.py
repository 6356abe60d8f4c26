import runboard


@runboard.task
def onboard(name="Grace Hopper", role="Engineer", first_day=3, seconds=0.5):
    told = {"name": name, "seconds": seconds}
    runboard.progress(0.1, "background check and accounts")
    check, made = runboard.gather(
        {"task": "onboarding-check", "input": told, "title": f"Background check of {name}"},
        {"task": "onboarding-accounts", "input": told, "title": f"Accounts for {name}"},
        key="prepare",
    )

    runboard.progress(0.5, "a person decides")
    verdict = "passed" if check["passed"] else "did not pass"
    question = f"Let {name} start as {role}? The background check {verdict}, with {check['references']} references."
    if not runboard.approve(question, recommended=check["passed"], key="approval"):
        runboard.run("onboarding-accounts", told | {"close": True}, key="close", title=f"Close accounts of {name}")
        return {"name": name, "started": False}

    runboard.progress(0.7, "waiting for the first day")
    runboard.sleep(first_day, key="first-day")

    runboard.progress(0.8, "orientation")
    day = runboard.run("onboarding-orientation", told, key="orientation", title=f"Orientation of {name}")
    return {"name": name, "started": True, "accounts": made["accounts"], "orientation": day["sessions"]}

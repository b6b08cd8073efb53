"""Small functions that run beside the service, and return plain values. What they should return is not in here."""

import os
import sqlite3
import time
from pathlib import Path


def _db(name="probe"):
    """A connection to a file of our own, or to the service's: as store.py makes it, whoever has changed that."""
    db = sqlite3.connect(Path(os.environ["DATA_DIR"]) / f"{name}.db", timeout=10.0, isolation_level=None)
    db.row_factory = sqlite3.Row
    return db


def _raised(function, *args):
    """The name of what a call raises; "" if it returns."""
    try:
        function(*args)
    except NotImplementedError:
        raise
    except Exception as error:
        return type(error).__name__
    return ""


# ------------------------------------------------------------------------------------------------ stage 1


def lease(ports, seconds, document):
    """One job, lent twice: what each of those who came got."""
    jobs, others = ports.jobs(_db()), ports.jobs(_db())
    seen = {}
    job = jobs.submit("key", document)
    seen["another"] = jobs.submit("key", document) != job or others.submit("key", document) != job
    seen["new"] = jobs.get(job)["status"]
    first = jobs.claim("one", seconds)
    time.sleep(seconds - 1)
    seen["early"] = others.claim("other", seconds) is not None
    jobs.renew(job, first.token, seconds)
    jobs.save(job, first.token, b"how far it came")
    time.sleep(2)
    seen["renewed"] = others.claim("one", seconds) is not None
    time.sleep(seconds - 1)
    second = others.claim("other", seconds)
    seen["late"] = second is not None and second.job == job and second.document == document
    seen["greater"] = second is not None and second.token > first.token
    seen["progress"] = bytes(second.progress).decode() if second is not None and second.progress else ""
    seen["zombie_renews"] = _raised(jobs.renew, job, first.token, seconds)
    seen["zombie_saves"] = _raised(jobs.save, job, first.token, b"nothing")
    seen["zombie_completes"] = _raised(jobs.complete, job, first.token, {"by": "the first"})
    seen["zombie_fails"] = _raised(jobs.fail, job, first.token, "it was late")
    seen["between"] = others.get(job)["status"]
    if second is not None:
        others.complete(job, second.token, {"by": "the second"})
    found = jobs.get(job)
    seen["end"] = [found["status"], found["result"]]
    seen["fails_late"] = _raised(others.fail, job, second.token if second is not None else 0, "it was late")
    time.sleep(3 * seconds)
    seen["again"] = jobs.claim("one", seconds) is not None
    return seen


def orders(ports, count):
    jobs = ports.jobs(_db())
    for number in range(count):
        jobs.submit(f"key {number}", "document")


def claims(ports, worker, most):
    """The ids of the jobs that a worker gets, until there is none."""
    jobs, got = ports.jobs(_db()), []
    for _ in range(most):
        claim = jobs.claim(worker, 1000.0)
        if claim is None:
            break
        got.append(claim.job)
    return got


# ------------------------------------------------------------------------------------------------ stage 2


def rename(ports, titles, text):
    """Change a document of which there is a text: what is there before and after, and what was written in between."""
    db = _db()
    documents, versions = ports.documents(db), ports.versions(db)
    document = documents.add(titles[0])
    versions.put(document, text, 0)
    db.execute("CREATE TABLE written (size INTEGER)")
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL")]
    for number, table in enumerate(name for name in tables if name not in ("written", "sqlite_sequence")):
        columns = [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')]
        for at, (verb, row) in enumerate((("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))):
            size = " + ".join(f'coalesce(length({row}."{column}"), 0)' for column in columns)
            db.execute(
                f'CREATE TRIGGER probe_{number}_{at} AFTER {verb} ON "{table}" BEGIN INSERT INTO written VALUES ({size}); END'
            )
    changed = [documents.change(document, title=titles[1]), documents.change(document, label="a label")]
    missing = documents.change("nothing", title=titles[2])
    (size,) = db.execute("SELECT coalesce(sum(size), 0) FROM written").fetchone()
    found, read = documents.get(document), versions.get(document)
    told = [found["title"], found["label"]] if found else []
    return {"changed": changed, "missing": missing, "size": size, "found": told, "text": list(read or ())}


def versions(ports, texts):
    """Put texts one on the other, and on what is not the newest; what can be read then."""
    versions = ports.versions(_db())
    seen = {"none": versions.get("document"), "numbers": [], "conflicts": []}
    for number, text in enumerate(texts):
        seen["numbers"].append(versions.put("document", text, number))
    for stale in (0, 1, len(texts) - 1, len(texts) + 1):
        try:
            versions.put("document", "late", stale)
            seen["conflicts"].append("")
        except ports.conflict:
            seen["conflicts"].append("Conflict")
    seen["other"] = versions.put("another", "its own", 0)
    seen["read"] = [list(versions.get("document", number + 1) or ()) for number in range(len(texts))]
    seen["newest"] = list(versions.get("document") or ())
    seen["beyond"] = versions.get("document", len(texts) + 1)
    return seen

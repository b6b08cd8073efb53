"""Small functions that run beside the service, and return plain values. What they should return is not in here."""

import json
import math
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


def _in_step(items):
    """Each at a moment of its own, which is the same in every process that does this: so that they race."""
    begin = math.ceil(time.time()) + 1
    for number, item in enumerate(items):
        time.sleep(max(0.0, begin + number * 0.02 - time.time()))
        yield item


# ------------------------------------------------------------------------------------------------ stage 1


def window(ports, most, seconds, pauses):
    """After each pause, take until it is refused: how often it was not."""
    db, taken = _db(), []
    for pause in pauses:
        time.sleep(pause)
        taken.append(0)
        while taken[-1] <= most and ports.quota(db, most, seconds).take("somebody"):
            taken[-1] += 1
    return taken


def race(ports, names):
    """For each name, whether its one place was got here."""
    quota = ports.quota(_db("race"), 1, 60.0)
    return [bool(quota.take(name)) for name in _in_step(names)]


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
    seen["renews"] = _raised(jobs.renew, job, first.token, seconds)
    seen["saves"] = _raised(jobs.save, job, first.token, b"how far it came")
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
    seen["completes"] = _raised(others.complete, job, second.token if second is not None else 0, {"by": "the second"})
    found = jobs.get(job)
    seen["end"] = [found["status"], found["result"]]
    seen["fails_late"] = _raised(others.fail, job, second.token if second is not None else 0, "it was late")
    time.sleep(3 * seconds)
    seen["again"] = jobs.claim("one", seconds) is not None
    older, newer = jobs.submit("a key", document), jobs.submit("a key", f"another {document}")
    seen["two"] = older != newer and jobs.submit("a key", document, 2) == older
    third = jobs.claim("one", seconds)
    seen["oldest"] = third is not None and third.job == older
    for _ in range(3 if third is not None else 0):
        jobs.renew(third.job, third.token, seconds)
    seen["fails"] = _raised(others.fail, newer if seen["oldest"] else older, 0, "it is nobody's")
    time.sleep(seconds + 1)
    fourth = others.claim("other", seconds)
    seen["from_now"] = fourth is not None and third is not None and fourth.job == third.job
    if fourth is not None:
        _raised(others.fail, fourth.job, fourth.token, "no such text")
    found = jobs.get(older)
    seen["names"] = sorted(found)
    seen["failed"] = [found["status"], found["reason"], found["result"]]
    time.sleep(3 * seconds)
    fifth = jobs.claim("one", seconds)
    seen["then"] = fifth is not None and fifth.job == newer and jobs.claim("other", seconds) is None
    return seen


def orders(ports, count):
    jobs = ports.jobs(_db())
    for number in range(count):
        jobs.submit(f"key {number}", "document")


def claims(ports, worker, most):
    """The ids of the jobs that a worker gets, until there is none."""
    jobs, got = ports.jobs(_db()), []
    for _ in _in_step(range(most)):
        claim = jobs.claim(worker, 1000.0)
        if claim is None:
            break
        got.append(str(claim.job))
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


def adds(ports, titles):
    """The ids of new documents, in a file for the two that follow."""
    documents = ports.documents(_db("two"))
    return [str(documents.add(title)) for title in titles]


def changes(ports, idents, fields):
    """Change one thing of each of these documents; how often there was none."""
    documents = ports.documents(_db("two"))
    pairs = _in_step(list(zip(idents, fields, strict=True)))
    return sum(not documents.change(ident, **{name: value}) for ident, (name, value) in pairs)


def read(ports, idents):
    """The title and label of each."""
    documents = ports.documents(_db("two"))
    found = [documents.get(ident) or {} for ident in idents]
    return [[each.get("title"), each.get("label")] for each in found]


def puts(ports, names, text, newest):
    """Put a text on version `newest` of each; on which of them it succeeded."""
    versions, won = ports.versions(_db("race")), []
    for name in _in_step(names):
        try:
            versions.put(name, text, newest)
            won.append(name)
        except ports.conflict:
            pass
    return won


def versions(ports, texts):
    """Put texts one on the other, and on what is not the newest; what can be read then."""
    versions = ports.versions(_db())
    seen = {"none": versions.get("document"), "numbers": [], "conflicts": []}
    for number, text in enumerate(texts):
        try:
            seen["numbers"].append(versions.put("document", text, number))
        except ports.conflict:
            seen["numbers"].append(f"{number + 1}: Conflict")
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


# ------------------------------------------------------------------------------------------------ stage 3


def refused(ports, events):
    """Append events, one of them in a transaction that is rolled back: what can be read then, and what the database says
    to whoever changes or removes one."""
    db = _db()
    audit = ports.audit(db)
    seqs = [audit.append(kind, document, **data) for kind, document, data in events]
    db.execute("BEGIN IMMEDIATE")
    audit.append("undone", "document")
    db.execute("ROLLBACK")
    before = time.time()
    seqs.append(audit.append("last", "document"))
    kept = [["".join(map(str, row)) for row in db.execute("SELECT * FROM audit")]]
    said = []
    for statement in ("UPDATE audit SET seq = seq + 1000", "DELETE FROM audit WHERE seq = 1", "DELETE FROM audit"):
        try:
            db.execute(statement)
            said.append("done")
        except sqlite3.Error as error:
            said.append(type(error).__name__)
    kept.append(["".join(map(str, row)) for row in db.execute("SELECT * FROM audit")])
    again = ports.audit(_db())  # another process
    read = [[e["seq"], e["kind"], e["document"], e["data"]] for e in again.events()]
    mine = [e["seq"] for e in again.events(events[0][1])]
    dated = all(isinstance(e["at"], float) and before <= e["at"] <= time.time() for e in again.events()[-1:])
    same = kept[0] == kept[1]
    return {"seqs": seqs, "said": said, "same": same, "read": read, "mine": mine, "dated": dated, "sound": again.verify()}


def appends(ports, count):
    """Append to one log from two processes at the same moments: the seqs, and what was raised."""
    audit, seqs = ports.audit(_db("both")), []
    for number in _in_step(range(count)):
        try:
            seqs.append(audit.append("edited", "document", number=number))
        except sqlite3.Error as error:
            seqs.append(type(error).__name__)
    return seqs


def sound(ports):
    return ports.audit(_db("both")).verify()


def falsified(ports, events, how, at):
    """Append events, get the triggers out of the way, and falsify. For each falsification: what it was, and whether
    `verify` is content."""
    seen = []
    for number, one in enumerate(how):
        db = _db(f"audit {number}")
        audit = ports.audit(db)
        for kind, document, data in events:
            audit.append(kind, document, **data)
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f'DROP TRIGGER "{name}"')
        columns = [row[1] for row in db.execute("PRAGMA table_info(audit)") if row[1] != "seq"]
        if one == "edit":
            for seq, column in ((seq, column) for seq in (1, at) for column in columns):
                db.execute("BEGIN")
                db.execute(
                    f'UPDATE audit SET "{column}" = CASE typeof("{column}") WHEN \'text\' THEN "{column}" || \'x\' '
                    f'WHEN \'null\' THEN \'x\' WHEN \'blob\' THEN x\'00\' ELSE "{column}" + 1 END WHERE seq = ?', (seq,)
                )
                seen.append([f"edit {column} of event {seq}", audit.verify()])
                db.execute("ROLLBACK")
        elif one == "move a letter":
            if not {"kind", "document"} <= set(columns):
                continue
            db.execute("UPDATE audit SET document = substr(kind, -1) || document, kind = substr(kind, 1, length(kind) - 1) WHERE seq = ?", (at,))
        elif one == "drop":
            db.execute("DELETE FROM audit WHERE seq = ?", (at,))
        elif one == "drop and close the gap":
            db.execute("DELETE FROM audit WHERE seq = ?", (at,))
            db.execute("UPDATE audit SET seq = -seq WHERE seq > ?", (at,))
            db.execute("UPDATE audit SET seq = -seq - 1 WHERE seq < 0")
        elif one == "swap":
            db.execute("UPDATE audit SET seq = -1 WHERE seq = ?", (at,))
            db.execute("UPDATE audit SET seq = ? WHERE seq = ?", (at, at + 1))
            db.execute("UPDATE audit SET seq = ? WHERE seq = -1", (at + 1,))
        elif one == "cut the last":
            db.execute("DELETE FROM audit WHERE seq = ?", (len(events),))
        elif one == "cut all":
            db.execute("DELETE FROM audit")
        elif one == "another past":
            other = ports.audit(_db(f"another {number}"))
            for kind, document, data in events:
                other.append(kind, document, **(data | {"n": -1}))
            db.execute("ATTACH ? AS other", (str(Path(os.environ["DATA_DIR"]) / f"another {number}.db"),))
            db.execute("DELETE FROM audit")
            db.execute("INSERT INTO audit SELECT * FROM other.audit")
        elif one == "one more":
            row = list(db.execute("SELECT * FROM audit ORDER BY seq DESC").fetchone())
            names = [row[1] for row in db.execute("PRAGMA table_info(audit)")]
            row[names.index("seq")] += 1
            db.execute(f"INSERT INTO audit VALUES ({', '.join('?' * len(row))})", row)
        if one != "edit":
            seen.append([one if one == "nothing" else f"{one} ({at})", ports.audit(_db(f"audit {number}")).verify()])
    return seen


def projection(ports, events):
    """Count events one by one, then again from the start, twice; and in a file of its own, from the start alone."""
    live, anew = ports.usage(_db()), ports.usage(_db("anew"))
    raised = []
    for event in events:
        try:
            live.apply(event)
        except NotImplementedError:
            raise
        except Exception as error:
            raised.append([event["seq"], type(error).__name__])
    seen = [["one by one", live.totals(), list(live.parked())]]
    for what, usage in (("rebuilt", live), ("rebuilt again", live), ("rebuilt elsewhere", anew)):
        if error := _raised(usage.rebuild, iter(events)):
            raised.append([0, error])
        seen.append([what, usage.totals(), list(usage.parked())])
    live.rebuild([])
    seen.append(["rebuilt from nothing", live.totals(), list(live.parked())])
    return {"raised": raised, "seen": seen}


def mementos(ports, parts, old, cuts, letter):
    """What comes back from checkpoints: whole ones, old ones, ones of the future, and ones that are none."""

    def restored(data):
        try:
            found = ports.progress.restore(data).parts
            return [[number, part] for number, part in sorted(found.items())]
        except ports.corrupt:
            return "Corrupt"
        except ports.unknown_version:
            return "UnknownVersion"

    progress = ports.progress({number: part for number, part in parts})
    data = progress.checkpoint()
    where = data.find(letter.encode())
    changed = data[:where] + b"#" + data[where + 1 :]
    bomb = b"c__builtin__\nexec\n(S'import os; os.environ[\"BOMB\"] = \"1\"'\ntR."
    seen = {
        "whole": restored(data),
        "old": restored(json.dumps({"v": 1, "done": old}).encode()),
        "future": [restored(json.dumps({"v": v, "parts": [[0, "x"]], "sum": 1}).encode()) for v in (3, 17)],
        "cut": [restored(data[: int(len(data) * cut)]) for cut in cuts],
        "changed": restored(changed) if where >= 0 else "there is no such letter",
        "digits": [
            restored(data[:at] + b"%d" % ((data[at] - 47) % 10) + data[at + 1 :])
            for at in range(len(data))
            if data[at : at + 1].isdigit()
        ],
        "odd": [restored(odd) for odd in (b"", b"null", b"[]", b"{}", b'{"v": 2}', b'{"v": null}', b"\xff\xfe", bomb)],
    }
    seen["bomb"] = os.environ.get("BOMB", "")
    one = ports.progress({0: "one"}).checkpoint()
    seen["newest"] = [_parts(ports.newest(some)) for some in ([one, data], [one, data, data[:-3]], [one, b""], [b"x"], [])]
    try:
        ports.newest([one, b'{"v": 3}'])
        seen["newest of the future"] = "restored"
    except ports.unknown_version:
        seen["newest of the future"] = "UnknownVersion"
    return seen


def spoil(ports):
    """Make the service's usage wrong, as a bug of last year might have."""
    usage = ports.usage(ports.connect(Path(os.environ["DATA_DIR"])))
    usage.rebuild([{"seq": 1, "at": 1.0e9, "kind": "asked", "document": "of last year", "data": {"tokens": 7}}])
    return usage.totals()


def _parts(progress):
    return [[number, part] for number, part in sorted(progress.parts.items())]


# ------------------------------------------------------------------------------------------------ stage 4


def canonical(ports, raws, nonsense, source):
    """What each of `raws` is in one shape; which of `nonsense` is refused; and what a source of our own comes to."""
    seen = [_booking(ports.to_canonical(raw, name)) for name, raw in raws]
    refused = []
    for name, raw in nonsense:
        try:
            refused.append(str(_booking(ports.to_canonical(raw, name))))
        except ports.unmappable:
            refused.append("Unmappable")

    def mapping(raw):
        if "name" not in raw:
            raise ports.unmappable("no name")
        return ports.booking(f"{source}:{raw['name']}", source, raw["price"] * 100, "2026-01-05T09:00:00Z", {"plug": True})

    ports.register(source, mapping)
    seen_own = _booking(ports.to_canonical({"name": "one", "price": 7}, source))
    try:
        ports.to_canonical({}, source)
        refused_own = ""
    except ports.unmappable:
        refused_own = "Unmappable"
    return {"seen": seen, "refused": refused, "own": [seen_own, refused_own]}


def _booking(found):
    return [found.id, found.source, found.amount_cents, found.at, found.extra]

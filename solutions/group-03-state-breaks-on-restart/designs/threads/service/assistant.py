"""All that a thread has: a connection of its own to the common file, and what is kept there."""

import threading
from contextlib import AbstractContextManager
from typing import Any

from service import store
from service.llm import Llm
from service.patterns.audit import Audit
from service.patterns.entities import Documents
from service.patterns.external_state import Jobs
from service.patterns.replay import Usage
from service.patterns.soft_delete import Trash
from service.patterns.stateless import Quota
from service.patterns.versions import Versions
from service.settings import Settings
from service.tables import Answers, Bookings


class Assistant:
    def __init__(self, settings: Settings, llm: Llm) -> None:
        self.settings = settings
        self.llm = llm
        self.db = store.connect(settings.data_dir)
        self.documents = Documents(self.db)
        self.versions = Versions(self.db)
        self.jobs = Jobs(self.db)
        self.answers = Answers(self.db)
        self.bookings = Bookings(self.db)
        self.quota = Quota(self.db)
        self.audit = Audit(self.db)
        self.usage = Usage(self.db)
        self.trash = Trash(self.db)

    def transaction(self) -> AbstractContextManager[None]:
        return store.transaction(self.db)

    def happened(self, kind: str, document: str, **data: Any) -> None:
        """Write down an event, and what follows from it. Inside the transaction in which it happens."""
        event = {"seq": self.audit.append(kind, document, **data), "kind": kind, "document": document, "data": data}
        self.usage.apply(event)


_local = threading.local()
_settings = Settings.from_env()
_llm = Llm(_settings)


def here() -> Assistant:
    """That of the thread that asks."""
    if not hasattr(_local, "assistant"):
        _local.assistant = Assistant(_settings, _llm)
    return _local.assistant

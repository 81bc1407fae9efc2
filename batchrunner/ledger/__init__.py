"""The ledger: the authoritative record of progress, and the only database that outlives its process."""

from batchrunner.core.file_names import LEDGER_NAME
from batchrunner.ledger.attempts import LostAttempt, PaidAttempt, RemoteIdTaken
from batchrunner.ledger.current import LastEvent, begun_at, collected_since, last_event, money, note_begun
from batchrunner.ledger.database import MANIFEST, check_path, recover_command
from batchrunner.ledger.events import LedgerEvent
from batchrunner.ledger.glance import Unreadable, begun, glance, paid_tasks
from batchrunner.ledger.last_stop import last_stop, note_stop
from batchrunner.ledger.ledger import Ledger
from batchrunner.ledger.lock import (
    NETWORK_FILE_SYSTEMS,
    RunLock,
    check_free,
    file_system,
    is_locked,
    lock_holders,
)
from batchrunner.ledger.outline import Outline, outline
from batchrunner.ledger.prospect import (
    Experience,
    Prospect,
    charged_unpriced,
    committed_so_far,
    experience,
    newest_attempt,
    note_confirmed,
    prospect,
)
from batchrunner.ledger.reader import LedgerReader
from batchrunner.ledger.records import (
    WAITING_FOR,
    Binding,
    FinishedFile,
    Standing,
    TaskEvent,
    TaskRecord,
)
from batchrunner.ledger.result_rows import EXCEL, FinishedVideo, NamedTask, ResultRow, ResultRows
from batchrunner.ledger.simulator_state import simulator_state
from batchrunner.ledger.spending import OverBudget

__all__ = [
    "EXCEL",
    "LEDGER_NAME",
    "MANIFEST",
    "NETWORK_FILE_SYSTEMS",
    "WAITING_FOR",
    "Binding",
    "Experience",
    "FinishedFile",
    "FinishedVideo",
    "LastEvent",
    "Ledger",
    "LedgerEvent",
    "LedgerReader",
    "LostAttempt",
    "NamedTask",
    "Outline",
    "OverBudget",
    "PaidAttempt",
    "Prospect",
    "RemoteIdTaken",
    "ResultRow",
    "ResultRows",
    "RunLock",
    "Standing",
    "TaskEvent",
    "TaskRecord",
    "Unreadable",
    "begun",
    "begun_at",
    "charged_unpriced",
    "check_free",
    "check_path",
    "collected_since",
    "committed_so_far",
    "experience",
    "file_system",
    "glance",
    "is_locked",
    "last_event",
    "last_stop",
    "lock_holders",
    "money",
    "newest_attempt",
    "note_begun",
    "note_confirmed",
    "note_stop",
    "outline",
    "paid_tasks",
    "prospect",
    "recover_command",
    "simulator_state",
]

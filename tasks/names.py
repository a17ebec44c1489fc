"""Names that producers and operators rely on. Contract section 2."""

INTAKE = "intake"
DELIVERY = "delivery"
REMEDIATION = "remediation"
REFERENTIALS = "referentials"
UPKEEP = "upkeep"

QUEUES = (INTAKE, DELIVERY, REMEDIATION, REFERENTIALS, UPKEEP)

SUBMIT = "entries.submit"
SUBMIT_MANY = "entries.submit_many"
RECONCILE = "entries.reconcile"
KEEP = "intake.keep"
DELIVER = "delivery.deliver"
FOLLOW_UP = "delivery.follow_up"
ASK = "delivery.ask"
PROBE = "delivery.probe"
REFRESH = "referentials.refresh"
PROBE_CASE = "remediation.probe"
RELEASE_CASE = "remediation.release"
SWEEP = "upkeep.sweep"
TELL = "upkeep.tell"
ERASE = "upkeep.erase"

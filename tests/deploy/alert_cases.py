"""Which alerts must fire on what the services show: a line a case, with the boundaries beside it."""
# ruff: noqa: E501

from tests.deploy.exposed import (
    BEAT_AGE,
    BUCKET,
    CHAMPION,
    COVERAGE,
    DEGRADED,
    DRIFT,
    DRIFT_STATUS,
    ESTIMATED,
    ESTIMATED_HIGH,
    FAILING,
    FLOOR,
    FREE,
    GENERATION,
    LABELS_AT,
    LOG_FAILURES,
    MADE,
    OVERDUE,
    PREDICT_200,
    PREDICT_400,
    PREDICT_500,
    PREDICTIONS,
    READYZ_503,
    RECALL,
    RECALL_HIGH,
    REFRESH_FAILURES,
    RESTARTS,
    SERVING,
    STATUS,
    Case,
    always,
    growing,
    healthy,
    silent,
    until,
)

_SLOW_05 = {BUCKET % le: growing(14) for le in ("0.3", "0.4", "0.5")}  # 1 of 15: p95 above 0.5
_SLOW_03 = {BUCKET % "0.3": growing(14)}
_GONE = dict.fromkeys(healthy(15)) | {"up": always(0)}
_NO_TRAFFIC = {PREDICT_200: always(9), PREDICTIONS: always(9)} | {
    BUCKET % le: always(9) for le in ("0.3", "0.4", "0.5", "0.75", "+Inf")
}

DAY = 288  # samples of five minutes


def _days(calls: str) -> str:
    """A letter a day: `x` has ten hours of predictions and fourteen of none, `.` has none."""
    parts, total = [], 0
    for day in calls:
        if day == "x":
            parts.append(f"{total}+1x119")
            total += 120
        parts.append(f"{total}+0x{DAY - (121 if day == 'x' else 1)}")
    return " ".join(parts)


CASES = [
    Case("healthy", "90m", set(), {}),
    Case("nobody ever called", "90m", set(), {}, base=silent),
    Case("a rhythm of days", "5d", set(), {PREDICTIONS: _days("xxxxxx")}, step=300, base=silent),
    Case("two healthy services", "30m", set(), {}, {}),
    # Down
    Case("down", "2m", {"DatathonDown"}, _GONE),
    Case("one of two down", "2m", {"DatathonDown"}, {}, _GONE),
    Case("never seen", "2m", {"DatathonDown"}, dict.fromkeys(healthy(15))),
    Case("one scrape failed", "3m", set(), {"up": "1+0x4 0 1+0x90"}),
    Case("down for less than a minute", "2m30s", set(), {"up": "1+0x4 0+0x3 1+0x90"}),
    # Errors
    Case("2 % errors", "16m", {"DatathonErrors"}, {PREDICT_200: growing(98), PREDICT_500: growing(2)}),
    Case("not for 10 minutes yet", "9m", set(), {PREDICT_200: growing(98), PREDICT_500: growing(2)}),
    Case("0.9 % errors", "40m", set(), {PREDICT_200: growing(991), PREDICT_500: growing(9)}),
    Case("flood of 4xx", "40m", set(), {PREDICT_400: growing(1500)}),
    Case("errors of one of two", "16m", {"DatathonErrors"}, {PREDICT_200: growing(9000)}, {PREDICT_500: growing(2)}),
    Case("errors, one scrape failed", "12m", {"DatathonErrors"}, {PREDICT_500: "0+2x20 _ 42+2x90"}),
    Case("errors in the past, service restarted", "30m", set(), {PREDICT_500: until(20, "0+5", "0+0"), PREDICT_200: until(20, "0+15", "0+15")}),
    Case("errors across a restart", "14m", {"DatathonErrors"}, {PREDICT_500: until(20, "0+5", "0+5"), PREDICT_200: until(20, "0+15", "0+15")}),
    Case("not ready is no error", "40m", set(), {READYZ_503: growing(3)}),
    Case("a burst of two minutes", "30m", set(), {PREDICT_500: "0+0x20 0+15x8 120+0x200"}),
    Case("errors, then nobody calls", "30m", set(), _NO_TRAFFIC | {PREDICT_500: "0+3x20 60+0x200"}),
    # Latency
    Case("p95 above 500 ms", "16m", {"DatathonLatency", "DatathonLatencyWarning"}, _SLOW_05),
    Case("p95 above 300 ms", "16m", {"DatathonLatencyWarning"}, _SLOW_03),
    Case("4 % slow", "30m", set(), {BUCKET % "0.3": growing(14.4), BUCKET % "0.5": growing(14.4)}),
    Case("one of two slow", "16m", {"DatathonLatency", "DatathonLatencyWarning"}, {}, _SLOW_05),
    Case("slow, then nobody calls", "30m", set(), _NO_TRAFFIC),
    # Workers
    Case("a worker without a version", "2m", {"DatathonNoChampion"}, {SERVING % 1: always(0), GENERATION % 1: always(0)}),
    Case("no version at its start", "2m", set(), {SERVING % 1: until(3, "0+0", "1+0")}),
    Case("a worker degraded", "3m", {"DatathonDegraded"}, {DEGRADED % 1: always(1)}),
    Case("degraded, one scrape failed", "3m", {"DatathonDegraded"}, {DEGRADED % 1: "1+0x4 _ 1+0x90"}),
    Case("degraded for a minute", "3m", set(), {DEGRADED % 1: "1+0x4 0+0x90"}),
    Case("workers disagree", "2m", {"DatathonGenerationsDisagree"}, {GENERATION % 1: always(2)}),
    Case("services disagree", "2m", {"DatathonGenerationsDisagree"}, {GENERATION % 0: always(4), GENERATION % 1: always(4), CHAMPION: None}, {CHAMPION: None}),
    Case("workers follow nobody", "2m", {"DatathonGenerationsDisagree"}, {CHAMPION: always(4)}),
    Case("a Bento's own model", "5m", set(), {GENERATION % 0: always(0), GENERATION % 1: always(0), CHAMPION: None}),
    Case("a Bento's own model beside a champion", "2m", {"DatathonGenerationsDisagree"}, {GENERATION % 0: always(0), GENERATION % 1: always(0)}),
    Case("a promote between two scrapes", "3m", set(), {GENERATION % 1: until(5, "2+0", "3+0"), GENERATION % 0: until(4, "2+0", "3+0"), CHAMPION: until(4, "2+0", "3+0")}),
    Case("a worker came back", "8m", {"DatathonWorkerRestarted"}, {RESTARTS: until(20, "0+0", "1+0")}),
    Case("a worker came back with nothing to serve", "6m45s", {"DatathonNoChampion"}, {RESTARTS: until(20, "0+0", "1+0"), SERVING % 1: until(20, "1+0", "0+0")}),
    Case("it came back long ago", "40m", set(), {RESTARTS: until(20, "0+0", "1+0")}),
    Case("restarts forgotten with the service", "8m", set(), {RESTARTS: until(20, "3+0", "0+0")}),
    Case("a worker hangs", "4m", {"DatathonWorkerStuck"}, {BEAT_AGE % 1: until(10, "0+0", "0+15")}),
    Case("a worker hangs, half the scrapes fail", "5m", {"DatathonWorkerStuck"}, {BEAT_AGE % 1: "0+0x9 " + " ".join(f"_ {n * 30}" for n in range(40))}),
    Case("a beat 15 s before the scrape", "6m", set(), {BEAT_AGE % 1: always(15)}),
    # Log
    Case("log fails", "7m", {"DatathonLogFailing"}, {LOG_FAILURES: until(20, "0+0", "0+3")}),
    Case("log fails, and refuses", "16m", {"DatathonLogFailing", "DatathonErrors"}, {LOG_FAILURES: growing(3), PREDICT_500: growing(3)}),
    Case("log failed once", "6m30s", set(), {LOG_FAILURES: until(20, "0+0", "3+0")}),
    Case("failures forgotten with the service", "7m", set(), {LOG_FAILURES: until(20, "9+0", "0+0")}),
    Case("4 % free", "20m", {"DatathonDiskFilling"}, {FREE: always(4e9)}),
    Case("4 % free for a moment", "20m", set(), {FREE: "4e9+0x20 50e9+0x300"}),
    Case("full within a day", "8h", {"DatathonDiskFilling"}, {FREE: growing(-18e6, 30e9)}, step=60),
    Case("full within three hours", "50m", {"DatathonDiskFilling"}, {FREE: growing(-250e6, 45e9)}, step=60),
    Case("faster, with more than half free", "50m", set(), {FREE: growing(-500e6, 95e9)}, step=60),
    Case("more slowly, from half free", "2h", set(), {FREE: growing(-50e6, 45e9)}, step=60),
    Case("a large file that takes ten minutes", "60m", set(), {FREE: "45e9+0x39 43e9-2e9x9 25e9+0xN"}, step=60),
    Case("one large file", "8h", set(), {FREE: until(400, "30e9+0", "15e9+0")}, step=60),
    Case("the trend of a minute", "20m", set(), {FREE: growing(-50e6, 24e9)}),
    # Model
    Case("score drifts", "12m", {"DatathonDriftRed"}, {DRIFT % "score": always(2)}),
    Case("two features drift, two services say so", "12m", {"DatathonDriftRed"}, {DRIFT % "idade": always(2), DRIFT % "inde": always(2)}, {DRIFT % "idade": always(2), DRIFT % "inde": always(2)}),
    Case("yellow and inconclusive", "30m", set(), {DRIFT % "idade": always(1), DRIFT % "inde": always(3)}),
    Case("recall below its floor", "12m", {"DatathonRecallBreach"}, {RECALL: always(0.66), RECALL_HIGH: always(0.71), STATUS: always(1)}),
    Case("recall at its floor", "30m", set(), {RECALL: always(0.7)}),
    Case("confirmed", "12m", {"DatathonRecallBreach", "DatathonRecallConfirmed"}, {RECALL: always(0.6), RECALL_HIGH: always(0.69), STATUS: always(2)}),
    Case("confirmed, one scrape failed", "12m", {"DatathonRecallBreach", "DatathonRecallConfirmed"}, {RECALL: "0.6+0x20 _ 0.6+0x90", RECALL_HIGH: "0.69+0x20 _ 0.69+0x90"}),
    Case("too few positives", "30m", set(), {RECALL: always(0.5), RECALL_HIGH: always(0.69), STATUS: always(3)}),
    Case("another floor", "12m", {"DatathonRecallBreach", "DatathonRecallConfirmed"}, {FLOOR: always(0.9)} | {ESTIMATED: None, ESTIMATED_HIGH: None}),
    Case("estimated below", "12m", {"DatathonEstimatedRecall"}, {ESTIMATED: always(0.6), ESTIMATED_HIGH: always(0.69)}),
    Case("estimated below 0.70, no floor known", "12m", {"DatathonEstimatedRecall"}, {ESTIMATED: always(0.6), ESTIMATED_HIGH: always(0.69), FLOOR: None}),
    Case("estimated below by chance", "30m", set(), {ESTIMATED: always(0.69), ESTIMATED_HIGH: always(0.74)}),
    Case("estimated below on a handful of rows", "30m", set(), {ESTIMATED: always(0.4), ESTIMATED_HIGH: always(0.6), DRIFT_STATUS: always(3)}),
    Case("estimate of labelled rows", "30m", set(), {'datathon_estimated_recall{kind="performance"}': always(0.5)}),
    Case("no label of due predictions", "70m", {"DatathonNoLabels"}, {COVERAGE: always(0), LABELS_AT: None}),
    Case("none due yet", "70m", set(), {COVERAGE: None, LABELS_AT: None}),
    Case("last import 121 days ago", "70m", {"DatathonNoLabels"}, {LABELS_AT: always(-121 * 86400)}),
    Case("last import 119 days ago", "70m", set(), {LABELS_AT: always(-119 * 86400)}),
    Case("last import 394 days ago, labels take a year", "70m", set(), {LABELS_AT: always(-394 * 86400), OVERDUE: always(395 * 86400)}),
    Case("last import 396 days ago, labels take a year", "70m", {"DatathonNoLabels"}, {LABELS_AT: always(-396 * 86400), OVERDUE: always(395 * 86400)}),
    Case("last import 46 days ago, labels take two weeks", "70m", {"DatathonNoLabels"}, {LABELS_AT: always(-46 * 86400), OVERDUE: always(44 * 86400)}),
    Case("last import 121 days ago, no report says when the next is due", "70m", {"DatathonNoLabels"}, {LABELS_AT: always(-121 * 86400), OVERDUE: None}),
    Case("last import 119 days ago, no report says when the next is due", "70m", set(), {LABELS_AT: always(-119 * 86400), OVERDUE: None}),
    Case("labels take a year, and a new champion has no report yet", "80m", set(), {LABELS_AT: always(-200 * 86400), OVERDUE: f"{395 * 86400}+0x9 _xN"}),
    Case("old import, nobody predicts", "70m", set(), {LABELS_AT: always(-121 * 86400)} | _NO_TRAFFIC),
    Case("reports an hour old", "80m", {"DatathonReportsStale"}, {MADE % "performance": always(0)}),
    Case("a report that cannot be made", "90m", {"DatathonReportsStale"}, {MADE % "performance": "0+15x20 _xN", FAILING % "performance": "_x20 300+0xN"}),
    Case("one failed just now", "40m", set(), {MADE % "performance": "0+15x20 _xN", FAILING % "performance": "_x20 300+0xN"}),
    Case("no report was ever made", "90m", {"DatathonReportsStale"}, {MADE % kind: None for kind in ("drift", "performance")} | {REFRESH_FAILURES: "0+0x19 0+0.05xN"}),
    Case("two failures before the first report", "90m", set(), {MADE % kind: None for kind in ("drift", "performance")} | {REFRESH_FAILURES: until(200, "0+0", "2+0")}),
    Case("one of two cannot refresh", "90m", set(), {}, {REFRESH_FAILURES: growing(0.05)}),
    Case("reports of before a restart", "8m", set(), {MADE % "drift": until(20, "-9000+0", "300+15")}),
    Case("one service reports for both", "80m", set(), {}, {MADE % "drift": always(0), MADE % "performance": always(0)}),
    # Silence
    Case("no predictions for 6 h", "9h", {"DatathonNoPredictions"}, {PREDICTIONS: until(24, "0+9", "207+0")}, step=300),
    Case("none for 5 h", "7h", set(), {PREDICTIONS: until(24, "0+9", "207+0")}, step=300),
    Case("none, and the service restarted", "9h", {"DatathonNoPredictions"}, {PREDICTIONS: "0+9x23 207+0x20 0+0xN"}, step=300),
    Case("one of two gets none", "9h", set(), {}, {PREDICTIONS: until(24, "0+9", "207+0")}, step=300),
    Case("a night like the one before", "40h", set(), {PREDICTIONS: _days("xx..")}, step=300, base=silent),
    Case("a day unlike the one before", "57h", {"DatathonNoPredictions"}, {PREDICTIONS: _days("xx..")}, step=300, base=silent),
    Case("still silent the night after", "70h", {"DatathonNoPredictions"}, {PREDICTIONS: _days("xx..")}, step=300, base=silent),
    Case("none for five days", "7d", {"DatathonNoPredictions"}, {PREDICTIONS: _days("xx......")}, step=300, base=silent),
    Case("none for eight days", "10d", {"DatathonNoPredictions"}, {PREDICTIONS: _days("xx.........")}, step=300, base=silent),
    Case("none for thirteen days", "15d", {"DatathonNoPredictions"}, {PREDICTIONS: _days("xx..............")}, step=300, base=silent),
    Case("in use no more", "16d", set(), {PREDICTIONS: _days("xx...............")}, step=300, base=silent),
    Case("a weekend like the one before", "13d12h", set(), {PREDICTIONS: _days("xxxxx..xxxxx...")}, step=300, base=silent),
    Case("a Monday unlike the one before", "14d8h", {"DatathonNoPredictions"}, {PREDICTIONS: _days("xxxxx..xxxxx...")}, step=300, base=silent),
    Case("a first week that nobody called before", "10d12h", {"DatathonNoPredictions"}, {PREDICTIONS: _days(".......xxx.")}, step=300, base=silent),
    # Budget: failures that come and go, so that DatathonErrors does not fire
    Case("bursts, fast", "95m", {"DatathonBudgetFast", "DatathonBudgetSlow"}, {PREDICT_500: " ".join(f"{n * 60}+15x3 {n * 60 + 60}+0x34" for n in range(14))}),
    Case("bursts, after a log that failed", "95m", {"DatathonBudgetFast", "DatathonBudgetSlow"}, {LOG_FAILURES: "0+0x199 0+3x20 60+0xN", PREDICT_500: " ".join(f"{n * 60}+15x3 {n * 60 + 60}+0x34" for n in range(14))}),
    Case("one burst", "60m", set(), {PREDICT_500: "0+0x120 0+15x20 300+0x400", PREDICT_200: growing(3)}),
    Case("four errors in a quiet hour", "80m", set(), {PREDICT_200: until(40, "0+0.5", "20+0"), PREDICT_500: "0+0x30 1 1 2 3 4+0x400"}),
    Case("errors told once", "80m", set(), {PREDICT_500: "0+0x120 0+15x60 900+0xN"}),
    Case("bursts, slow", "7h", {"DatathonBudgetSlow"}, {PREDICT_200: growing(60), PREDICT_500: " ".join(f"{n * 60}+60x1 {n * 120 + 60}+0x22" for n in range(30))}, step=60),
    Case("5 % errors", "8h", {"DatathonErrors", "DatathonBudgetSlow"}, {PREDICT_200: growing(57), PREDICT_500: growing(3)}, step=60),
    Case("20 % errors", "90m", {"DatathonErrors", "DatathonBudgetFast", "DatathonBudgetSlow"}, {PREDICT_200: growing(12), PREDICT_500: growing(3)}),
]  # fmt: skip

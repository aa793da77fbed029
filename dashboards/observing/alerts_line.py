"""Alerts on the line, the door, the gate and events out: what stops people from joining, being called, getting in."""

from dashboards.observing.shapes import Alert, Severity

_LOGS = (
    "The log: `docker compose -f deploy/compose.yaml logs --since 15m waitroom`, or `journalctl -u waitroom`."
)
_READY = "`curl http://127.0.0.1:8081/health/ready` and `waitroom health http://127.0.0.1:8080`: ready, or why not."

LINE_ALERTS = (
    Alert(
        name="WaitroomDown",
        expr='up{job=~"waitroom.*"} == 0',
        lasts="1m",
        severity=Severity.PAGE,
        summary="{{ $labels.instance }} does not answer Prometheus",
        means="Prometheus cannot read the metrics of an installation: the operator's process is down, or the "
        "way to it "
        "is. Gates and shop may go on all the same; nothing of them is seen any more.",
        fans="Nothing, if only this process is down. If the machine is: no page at all.",
        look=(
            _READY,
            _LOGS,
            "The target's error on Prometheus' page *Status, Targets*: refused is a process, a timeout is a network.",
        ),
        do=(
            "The supervisor starts a process that ended again, later each time. If it ends over and over, its last "
            "line in the log says why: `waitroom check settings` prints every fault of the settings.",
            "If the whole installation is down, start it; every place is kept (`waitroom serve`, or "
            "`docker compose -f deploy/compose.yaml --project-directory . up -d`).",
        ),
        escalate="Fans get no page and a start did not help within five minutes: call whoever keeps the machines.",
        fires={'up{job="waitroom",instance="a:8081"}': "1+0x5 0+0x25"},
        quiet={'up{job="waitroom",instance="a:8081"}': "1+0x30"},
        labels={"job": "waitroom", "instance": "a:8081"},
    ),
    Alert(
        name="WaitroomNoGate",
        expr='up{job="waitroom"} == 1 unless on (instance) waitroom_line_reading_age_seconds',
        lasts="1m",
        severity=Severity.PAGE,
        summary="No gate's worker at {{ $labels.instance }} keeps a room",
        means="The operator's process answers, and no worker of a gate tells of a room: all have ended, or there is no "
        "room at all.",
        fans="No page, or the one of the balancer in front. Every place is kept.",
        look=(
            _READY,
            f"{_LOGS} Words: `a process ended and is started again`, with its status; the line above says why.",
            '`curl -H "$AUTH" http://127.0.0.1:8081/api/rooms`: are there rooms?',
        ),
        do=(
            "The supervisor starts workers again, later each time. If they end over and over: "
            "`waitroom check settings` and `waitroom check rooms rooms.toml` print every fault.",
            "After an update: the changelog says whether one may go back to the version before, with which databases.",
        ),
        escalate="Fans get no page and this lasts five minutes.",
        fires={'up{job="waitroom",instance="a:8081"}': "1+0x30"},
        quiet={
            'up{job="waitroom",instance="a:8081"}': "1+0x30",
            'waitroom_line_reading_age_seconds{room="main",instance="a:8081"}': "0.2+0x30",
        },
        labels={"job": "waitroom", "instance": "a:8081"},
    ),
    Alert(
        name="WaitroomWorkerHangs",
        expr="time() - min by (instance) (waitroom_line_beat_timestamp_seconds) > 30",
        lasts="30s",
        severity=Severity.PAGE,
        summary="A gate's worker at {{ $labels.instance }} has not looked round for half a minute",
        means="A worker lives and does nothing: its event loop is blocked, it was stopped, or its machine starves. "
        "It looks round four times a second, also while store and journal are away. Its figures stand where they "
        "were, so no other alert sees it.",
        fans="Whose connection it holds gets no answer; where it is the only worker, nobody does.",
        look=(
            _READY,
            "`ps -eo pid,stat,pcpu,etime,args | grep 'worker gate'`: `T` was stopped, `D` waits for a disk, and 100 % "
            "of a core is a loop.",
            f"{_LOGS} What is its last line?",
        ),
        do=(
            "Before you end it, if you can: `py-spy dump --pid PID` says where it stands. Keep that.",
            "`kill -9 PID` of that worker: the supervisor starts another within a second. Every place is kept.",
            "All of them at once: the machine. Look at its load, memory and disks.",
        ),
        escalate="It comes back within the hour: with the dump, to whoever keeps the product.",
        fires={'waitroom_line_beat_timestamp_seconds{role="gate",instance="a:8081"}': "0+60x5 300+0x25"},
        quiet={'waitroom_line_beat_timestamp_seconds{role="gate",instance="a:8081"}': "0+60x30"},
        labels={"instance": "a:8081"},
    ),
    Alert(
        name="WaitroomStoreAway",
        expr="max by (instance) (waitroom_line_reading_age_seconds) > 10",
        lasts="30s",
        severity=Severity.PAGE,
        summary="Workers of {{ $labels.instance }} have not read the store for ten seconds",
        means="The store (Redis or Valkey) does not answer, or answers too late. It has the counters of the line and "
        "the holds of the shop.",
        fans="Who waits keeps waiting, with the last status document and its age. Who is inside goes on. "
        "Joins, claims "
        "and holds are answered with *please try again*, and the pages do so by themselves.",
        look=(
            'The store itself: `redis-cli -u "$WAITROOM_STORE_URL" ping`, `… info memory`, `… info persistence`.',
            "Its disk: an append-only file that cannot be written stops it.",
            f"{_LOGS} Words: `the store or the journal is away`, `the store ended and is started again`.",
        ),
        do=(
            "Bring the store back. Nothing else is needed: the first beat after its return mends what is missing.",
            "If its data is gone, start it empty: the line is put back from the journal and from fans' own papers "
            "([when the store is lost](../recovery.md)). Do not load an older copy by hand.",
            "If it is full: `maxmemory-policy` must stay `noeviction`; give it memory.",
        ),
        escalate="It does not come back within ten minutes, or comes back and this fires again.",
        fires={'waitroom_line_reading_age_seconds{room="main",instance="a:8081"}': "0+10x30"},
        quiet={'waitroom_line_reading_age_seconds{room="main",instance="a:8081"}': "0.2+0x30"},
        labels={"instance": "a:8081"},
    ),
    Alert(
        name="WaitroomJournalBehind",
        expr="max by (instance) (waitroom_line_journal_age_seconds) > 30",
        lasts="1m",
        severity=Severity.PAGE,
        summary="What happens at {{ $labels.instance }} has not been in the journal for half a minute",
        means="The journal's database does not take what the line tells it. The store keeps it meanwhile; but if the "
        "store were lost now, numbers and admissions of this time would have to be put back from fans' papers alone.",
        fans="Nothing yet.",
        look=(
            "The database of `WAITROOM_JOURNAL_URL`: does it answer, is its disk full, is a lock held?",
            f"{_LOGS} Words: `the store or the journal is away`.",
            "`waitroom check journal`: the chain as far as it goes.",
        ),
        do=(
            "Bring the database back; workers hand over what they have within a second.",
            "Until then do not restart gates and store at the same time: the one knows what the other would lose.",
        ),
        escalate="It is behind for ten minutes while people join: whoever keeps the database.",
        fires={'waitroom_line_journal_age_seconds{instance="a:8081"}': "0+30x30"},
        quiet={'waitroom_line_journal_age_seconds{instance="a:8081"}': "0.5+0x30"},
        labels={"instance": "a:8081"},
    ),
    Alert(
        name="WaitroomNobodyIsCalled",
        expr="max by (room) (waitroom_line_calling) == 1\n"
        "and on (room) max by (room) (waitroom_line_waiting_visitors) > 0\n"
        "and on (room) sum by (room) (changes(waitroom_line_serving_rank[5m])) == 0",
        lasts="5m",
        severity=Severity.TICKET,
        summary="People wait in {{ $labels.room }}, and nobody has been called for ten minutes",
        means="The room serves, nobody has paused it, people wait, and its thresholds do not move. Mostly the "
        "site is "
        "full: as many are inside as may be, and none of them leaves.",
        fans="The number of people ahead stands still, and so does the bar.",
        look=(
            "The board *The line*: are all places taken (`waitroom_admission_sessions`), do people stand at "
            "the door?",
            "The console: `total_active_users`, `session_duration`, and what the shop says is left.",
            "`waitroom_admission_show_ratio`: how many of the called come.",
        ),
        do=(
            "If the site can bear more, raise `total_active_users` on the console or by the API.",
            "If sessions are long because nobody finishes them: have the backend say when somebody is done "
            "([getting started](../getting-started.md), *Steer a sale*), or shorten `session_duration`.",
            "If places are free and nobody is called: restart the gate's workers one after the other, and "
            "keep the log.",
        ),
        escalate="Places are free, people wait, and a restart did not help.",
        fires={
            'waitroom_line_calling{room="main"}': "1+0x30",
            'waitroom_line_waiting_visitors{room="main"}': "500+0x30",
            'waitroom_line_serving_rank{room="main",lane="standard"}': "100+0x30",
        },
        quiet={
            'waitroom_line_calling{room="main"}': "1+0x30",
            'waitroom_line_waiting_visitors{room="main"}': "500+0x30",
            'waitroom_line_serving_rank{room="main",lane="standard"}': "100+5x30",
        },
        labels={"room": "main"},
    ),
    Alert(
        name="WaitroomShedding",
        expr="max by (limit) (gateway_shedding) == 1",
        lasts="5m",
        severity=Severity.TICKET,
        summary="The limit {{ $labels.limit }} has been turning people away for five minutes",
        means="A limit does what it is for, and does so for long. `connections`: a worker has all that it may have, "
        "further ones get 503. `joins`: many join from one network. `bot-checks`: more join than the bot guard looks "
        "at. `map`: seat maps show sections only. `streams`: further maps are looked at without being told changes.",
        fans="`connections`: an error, and the page tries again. `joins`: the page says that many join from their "
        "network, and tries again. The others: nothing that keeps anybody from a place.",
        look=(
            "The board *The line*, panel *Limits that are hit*; `sum by (code) "
            "(rate(waitroom_line_refused_total[5m]))`.",
            "`joins`: is it one office or carrier, or does the gate see its proxy's address for everybody? Then "
            "`WAITROOM_TRUSTED_PROXIES` is wrong.",
            "The machine: are the workers busy, or only their connections many?",
        ),
        do=(
            "`connections`: more workers (`--workers`), or raise `WAITROOM_MAX_CONNECTIONS` and the open files.",
            "`joins`: raise the room's `join_rate_per_minute` and `join_burst`, if they are people.",
            "`map`, `streams`: more shop workers; leave it, if buying goes on.",
        ),
        escalate="Joins or payments burn their budget at the same time.",
        fires={'gateway_shedding{limit="connections"}': "1+0x30"},
        quiet={'gateway_shedding{limit="connections"}': "0+0x30"},
        labels={"limit": "connections"},
    ),
    Alert(
        name="WaitroomListStale",
        expr="max by (file) (waitroom_bots_stale_files or waitroom_shop_fraud_stale_files) == 1",
        lasts="10m",
        severity=Severity.TICKET,
        summary="The newest state of {{ $labels.file }} is not in use",
        means="A list or a Geo-IP file was changed, and what it says now cannot be read; the last good state counts.",
        fans="Nothing. Whoever was added to a list is not on it yet.",
        look=(f"{_LOGS} The line names the file and the fault.",),
        do=(
            "Mend the file, or put the former one back; it is read again within seconds, no restart is needed.",
        ),
        escalate="Nobody knows who keeps the file.",
        fires={'waitroom_bots_stale_files{file="bot-list"}': "1+0x30"},
        quiet={'waitroom_bots_stale_files{file="bot-list"}': "0+0x30"},
        labels={"file": "bot-list"},
    ),
    Alert(
        name="WaitroomClockDoubtful",
        expr="max by (instance) (gateway_store_clock_apart_seconds) > 60\n"
        "or max by (instance) (gateway_history_put_off) == 1",
        lasts="5m",
        severity=Severity.TICKET,
        summary="A clock of {{ $labels.instance }} may be wrong",
        means="The clocks of the store and of the operator's process are more than a minute apart; or the clock stands "
        "where the history has hardly any minutes before it, as after a leap, or after days in which nothing ran. "
        "Meanwhile no minute of the history is forgotten, however old.",
        fans="Nothing, if it is the operator's machine. With a wrong store turns and visits end too early or too late.",
        look=(
            "`waitroom doctor`: the finding `store.clock`.",
            "`date -u` and `timedatectl` on the machines of the store, the gates and the operator's process.",
            '`redis-cli -u "$WAITROOM_STORE_URL" time`: seconds since 1970.',
        ),
        do=(
            "A clock is wrong: set it, and run chrony or systemd-timesyncd. The history goes on by itself.",
            "Clocks are right, and the installation was away for days: nothing. After twelve hours with minutes the "
            "history believes the clock again, and this ends.",
        ),
        escalate="The store's clock is wrong during a sale: whoever keeps its machine.",
        fires={'gateway_store_clock_apart_seconds{instance="a:8081"}': "86400+0x30"},
        quiet={
            'gateway_store_clock_apart_seconds{instance="a:8081"}': "0.2+0x30",
            'gateway_history_put_off{instance="a:8081"}': "0+0x30",
        },
        labels={"instance": "a:8081"},
    ),
    Alert(
        name="WaitroomTargetDead",
        expr='max by (instance) (waitroom_events_targets{state="dead"}) > 0',
        lasts="1m",
        severity=Severity.TICKET,
        summary="Somebody whom {{ $labels.instance }} tells of events is told no more",
        means="A target (webhook, chat or mail) did not take an event for some seven hours, or said 410, which is for "
        "good. Nobody tries any more; nothing is lost, its place in the journal is kept.",
        fans="Nothing.",
        look=(
            "The console's page *Events out*: which one is dead, and why.",
            '`curl -H "$AUTH" http://127.0.0.1:8081/api/targets/NAME/deliveries`: the last hundred tries.',
            f"{_LOGS} Words: `a target is dead`.",
        ),
        do=(
            "Whoever receives is back: resume it on that page. It goes on where it was, as fast as it takes.",
            "It is gone for good: remove it there, and this ends.",
        ),
        escalate="What is told runs something that a sale needs: whoever keeps the receiver.",
        fires={'waitroom_events_targets{state="dead",instance="a:8081"}': "1+0x30"},
        quiet={
            'waitroom_events_targets{state="dead",instance="a:8081"}': "0+0x30",
            'waitroom_events_targets{state="paused",instance="a:8081"}': "1+0x30",
        },
        labels={"instance": "a:8081"},
    ),
    Alert(
        name="WaitroomTargetBehind",
        expr="max by (instance, target) (waitroom_events_failed_tries) >= 5\n"
        "or max by (instance, target) (min_over_time(waitroom_events_behind_entries[15m])) > 5000",
        lasts="5m",
        severity=Severity.TICKET,
        summary="The target {{ $labels.target }} of {{ $labels.instance }} takes no events, or not fast enough",
        means="Five tries in a row and more failed, which takes some minutes; or for a quarter of an hour more "
        "than 5,000 entries of the journal were before it. What comes behind waits and is told in order; other "
        "targets and the line do not notice.",
        fans="Nothing.",
        look=(
            "The console's page *Events out*: the target's last answer, and when it is tried next.",
            '`curl -H "$AUTH" http://127.0.0.1:8081/api/targets/NAME/deliveries`: how long each answer took.',
            "`sum by (way, outcome) (rate(waitroom_events_sends_total[5m]))`.",
        ),
        do=(
            "It fails: mend the receiver; what waits is told by itself. Each wait is twice as long as the one before; "
            "after 16 tries it is dead.",
            "It is slow: have it answer before it works, or name fewer kinds and rooms; most events are of single "
            "fans.",
            "For a known outage: pause it, and resume it afterwards.",
        ),
        escalate="`WaitroomTargetDead` fires.",
        fires={'waitroom_events_failed_tries{target="shop",instance="a:8081"}': "0+1x16 16+0x14"},
        quiet={
            'waitroom_events_failed_tries{target="shop",instance="a:8081"}': "0 1 2 0+0x27",
            'waitroom_events_behind_entries{target="shop",instance="a:8081"}': "9000+0x10 0+0x20",
        },
        labels={"instance": "a:8081", "target": "shop"},
    ),
)

"""The event-socket client: FreeSWITCH's events in, our commands out, over two connections.

What a service uses (`from services.shared.esl.client import EslClient`, and so on; importing does nothing observable):

    client = EslClient(
        Target(host="127.0.0.1", port=8021, password="…"),
        Subscription(events=("CHANNEL_CREATE", "CHANNEL_HANGUP_COMPLETE"), subclasses=("callcenter::info",)),
        spawn=supervisor.spawn,                 # (name, function) -> anything; the default is gevent.spawn
    )
    client.start()
    for batch in client.events():               # ends after client.stop()
        for item in batch:                      # Connected | Disconnected | Event, in the order of the wire
            match item:
                case Connected(core_uuid=core): ...      # subscribed anew: now reconcile with `show channels`
                case Disconnected(error=error): ...      # a gap begins; error is a ConnectionEnded
                case _: item.name, item.subclass, item.get("Unique-ID"), item.body

    reply = client.execute(commands.api("uuid_kill", leg_id, "NORMAL_CLEARING"), timeout=5)     # reply.ok, reply.text
    pending = client.submit(commands.execute(leg_id, "playback", "tone.wav"))                   # pipelined
    pending.get(timeout=5)
    job = client.bgapi(commands.originate(…), timeout=60)        # the BACKGROUND_JOB's text: job.ok, job.text

Errors of the three calls: `NotSent` (retry when connected), `OutcomeUnknown`/`ReplyTimeout` (reconcile first); building
a command raises `UnsafeValue` for a value that may not go on the wire. HEARTBEAT and BACKGROUND_JOB are always
subscribed; the answers to our own jobs are not repeated in `events()`.

Modules: `errors` (the tree), `frames` (events read lazily), `decoder` (bytes in, frames out, no I/O), `commands` (safe
encoding), `connection` (one authenticated socket on greenswitch's InboundESL), `client` (the pair, reconnecting).
"""

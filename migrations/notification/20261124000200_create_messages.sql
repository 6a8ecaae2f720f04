-- The mail: exactly one row per event, recipient and template, written in the transaction that
-- notes the event as seen. Rendered once, so that a retry sends the same words.
create table notification.messages (
    message_id  uuid        primary key,
    event_id    uuid        not null,
    template    text        not null,
    locale      text        not null,
    recipient   text        not null,
    subject     text        not null,
    body_text   text        not null,
    body_html   text        not null,
    status      text        not null default 'queued',
    -- Times that a sender has claimed it since it was queued.
    attempts    integer     not null default 0,
    -- Queued: not before. Sending: the claim ends.
    due_at      timestamptz not null,
    last_error  text,
    created_at  timestamptz not null,
    sent_at     timestamptz,
    constraint messages_once unique (event_id, recipient, template),
    constraint messages_status_known check (status in ('queued', 'sending', 'sent', 'dead')),
    constraint messages_sent_when_sent check ((status = 'sent') = (sent_at is not null)),
    constraint messages_attempts_positive check (attempts >= 0)
);

-- What the sender asks for every second.
create index messages_due on notification.messages (due_at) where status in ('queued', 'sending');
-- The list of the administrator: newest first, of one status.
create index messages_by_status on notification.messages (status, message_id);
-- What the sweeper removes.
create index messages_sent_at on notification.messages (sent_at) where status = 'sent';

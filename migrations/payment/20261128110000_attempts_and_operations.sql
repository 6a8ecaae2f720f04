-- Providers that answer later: an attempt can be undecided, and each operation is an intent first.
-- Every column has a default that is right for what the release before this one writes.

-- These methods were for tests; their provider was `manual`.
update payment.payments set method = 'manual' where method in ('manual-decline', 'manual-capture-decline');

alter table payment.payments
    -- The money is not wanted any more: what an answer still brings goes back.
    add column cancelling boolean not null default false,
    -- A void, or a capture of so much, that the provider has not answered.
    add column voiding boolean not null default false,
    add column capturing_minor bigint not null default 0,
    -- Refunds that the provider has not answered.
    add column refunding_minor bigint not null default 0,
    add column next_action_url text,
    add column decline_reason text,
    drop constraint payments_state,
    add constraint payments_state check (state in (
        'requested', 'pending', 'requires_action', 'authorised', 'captured', 'voided', 'refunded', 'declined', 'cancelled'
    )),
    add constraint payments_voiding check (
        not voiding or (capturing_minor = 0 and state in ('pending', 'requires_action', 'authorised', 'declined'))
    ),
    add constraint payments_capturing check (
        capturing_minor = 0 or (capturing_minor between 1 and amount_minor and state = 'authorised')
    ),
    add constraint payments_refunding check (
        refunding_minor >= 0 and refunded_minor + refunding_minor <= captured_minor
    ),
    add constraint payments_next_action_url check ((next_action_url is not null) = (state = 'requires_action')),
    add constraint payments_decline_reason check (decline_reason is null or state = 'declined');

alter table payment.operations
    add column state text not null default 'done',
    -- The provider's reason code.
    add column reason text,
    -- When the provider is to be asked (again). Whoever asks moves it on first: it is the lease.
    add column due_at timestamptz,
    add column calls integer not null default 0,
    drop constraint operations_operation_id,
    -- An operation that follows from another one has a longer id.
    add constraint operations_operation_id check (length(operation_id) between 1 and 160),
    add constraint operations_state check (state in ('requested', 'done', 'refused')),
    add constraint operations_reason check ((reason is not null) = (state = 'refused')),
    add constraint operations_due_at check ((due_at is not null) = (state = 'requested'));
create index operations_due on payment.operations (due_at) where state = 'requested';

-- At most one capture and one void that is not refused.
drop index payment.operations_one_capture;
drop index payment.operations_one_void;
create unique index operations_one_capture on payment.operations (payment_id) where kind = 'capture' and state <> 'refused';
create unique index operations_one_void on payment.operations (payment_id) where kind = 'void' and state <> 'refused';

create function payment.refuse_transition() returns trigger language plpgsql as $$
begin
    raise exception '% cannot go from % to %', tg_table_name, old.state, new.state
        using errcode = 'check_violation', constraint = tg_name;
end
$$;

-- The transitions of the state machine; the condition is evaluated without calling the function.
create trigger payments_transition
    before update of state on payment.payments
    for each row when (
        old.state <> new.state and (old.state, new.state) not in (
            ('requested', 'pending'), ('requested', 'requires_action'), ('requested', 'authorised'), ('requested', 'declined'),
            ('pending', 'requires_action'), ('pending', 'authorised'), ('pending', 'declined'), ('pending', 'voided'),
            ('requires_action', 'pending'), ('requires_action', 'authorised'), ('requires_action', 'declined'),
            ('requires_action', 'voided'),
            ('authorised', 'captured'), ('authorised', 'voided'),
            ('captured', 'refunded')
        )
    ) execute function payment.refuse_transition();

create trigger operations_transition
    before update of state on payment.operations
    for each row when (old.state <> new.state and old.state <> 'requested')
    execute function payment.refuse_transition();

-- Notifications of providers, each once.
create table payment.notifications (
    provider    text not null,
    event_id    text not null,
    received_at timestamptz not null,
    primary key (provider, event_id),
    constraint notifications_event_id check (length(event_id) between 1 and 255)
);
create index notifications_received_at on payment.notifications (received_at);

-- Who promised, paid and got back how much. The checks hold whatever the code does.
create table payment.payments (
    payment_id uuid primary key,
    state text not null,
    -- All but the id is unknown in state 'cancelled': the void overtook the authorisation, which must then hold nothing.
    order_id uuid,
    user_id uuid,
    method text,
    currency char(3),
    amount_minor bigint not null default 0,
    captured_minor bigint not null default 0,
    refunded_minor bigint not null default 0,
    version bigint not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint payments_state check (state in ('authorised', 'captured', 'voided', 'refunded', 'declined', 'cancelled')),
    constraint payments_facts check (
        state = 'cancelled'
        or (order_id is not null and user_id is not null and method is not null and currency is not null and amount_minor > 0)
    ),
    constraint payments_currency check (currency ~ '^[A-Z]{3}$'),
    constraint payments_captured check (captured_minor >= 0 and captured_minor <= amount_minor),
    constraint payments_refunded check (refunded_minor >= 0 and refunded_minor <= captured_minor),
    constraint payments_captured_state check ((captured_minor > 0) = (state in ('captured', 'refunded'))),
    constraint payments_refunded_state check ((state = 'refunded') = (refunded_minor > 0 and refunded_minor = captured_minor))
) with (fillfactor = 70);
create index payments_order_id on payment.payments (order_id);

-- One row per (payment, operation): the same operation again changes nothing, another one under its id is refused.
create table payment.operations (
    payment_id uuid not null references payment.payments (payment_id),
    operation_id text not null,
    kind text not null,
    amount_minor bigint not null,
    at timestamptz not null,
    primary key (payment_id, operation_id),
    constraint operations_operation_id check (length(operation_id) between 1 and 128),
    constraint operations_kind check (kind in ('authorise', 'capture', 'void', 'refund')),
    constraint operations_amount_minor check (amount_minor > 0)
);
create unique index operations_one_authorise on payment.operations (payment_id) where kind = 'authorise';
create unique index operations_one_capture on payment.operations (payment_id) where kind = 'capture';
create unique index operations_one_void on payment.operations (payment_id) where kind = 'void';

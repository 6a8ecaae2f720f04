-- An order may await its payment: the provider or the customer acts after the request has been answered. Only wider than before, so
-- the previous release runs on it; the rows that exist are checked in the next file, without this lock.
alter table orders.orders add column next_action jsonb;
alter table orders.orders
    drop constraint orders_stage,
    drop constraint orders_stage_facts,
    add constraint orders_stage check (stage in ('awaiting_payment', 'placed', 'paid', 'cancelled')) not valid,
    add constraint orders_stage_facts check (
        (stage in ('awaiting_payment', 'placed') and paid_at is null and cancelled_at is null)
        or (stage = 'paid' and paid_at is not null and cancelled_at is null)
        or (stage = 'cancelled' and cancelled_at is not null)
    ) not valid,
    -- What the customer has to do, such as a page of the provider to visit.
    add constraint orders_next_action check (next_action is null or stage = 'awaiting_payment') not valid;

alter table orders.history
    drop constraint history_stage,
    add constraint history_stage check (stage in ('awaiting_payment', 'placed', 'paid', 'cancelled')) not valid;

alter table orders.checkouts
    drop constraint checkouts_stage,
    add constraint checkouts_stage check (stage in (
        'started', 'reserved', 'awaiting_payment', 'authorised', 'placed', 'voiding', 'releasing', 'failed'
    )) not valid;

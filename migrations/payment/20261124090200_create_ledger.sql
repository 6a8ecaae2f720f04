-- Double entry: every operation moves money between accounts, and what is moved sums to zero at commit, or nothing commits.
-- Accounts: customer (outside), authorised (promised to us), captured (ours).
create table payment.ledger_entries (
    payment_id uuid not null,
    operation_id text not null,
    account text not null,
    minor bigint not null,
    currency char(3) not null,
    primary key (payment_id, operation_id, account),
    foreign key (payment_id, operation_id) references payment.operations (payment_id, operation_id),
    constraint ledger_entries_account check (account in ('customer', 'authorised', 'captured')),
    constraint ledger_entries_minor check (minor <> 0),
    constraint ledger_entries_currency check (currency ~ '^[A-Z]{3}$')
);

create function payment.refuse_unbalanced_operation() returns trigger language plpgsql as $$
begin
    if exists (
        select from payment.ledger_entries
        where payment_id = new.payment_id and operation_id = new.operation_id
        having sum(minor) <> 0 or count(distinct currency) <> 1 or count(*) < 2
    ) then
        raise exception 'ledger entries of operation % of payment % do not sum to zero', new.operation_id, new.payment_id
            using errcode = 'check_violation', constraint = 'ledger_entries_balance';
    end if;
    return null;
end
$$;

-- Deferred: entries of one operation may come one by one, the commit sees them all.
create constraint trigger ledger_entries_balance
    after insert on payment.ledger_entries
    deferrable initially deferred
    for each row execute function payment.refuse_unbalanced_operation();

create function payment.refuse_rewriting_history() returns trigger language plpgsql as $$
begin
    raise exception 'the ledger is append-only'
        using errcode = 'restrict_violation', constraint = 'ledger_entries_append_only';
end
$$;

create trigger ledger_entries_append_only
    before update or delete or truncate on payment.ledger_entries
    for each statement execute function payment.refuse_rewriting_history();

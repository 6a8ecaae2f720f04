-- Every row satisfies the wider constraints, since it satisfied the narrower ones; this says so to the planner.
alter table orders.orders validate constraint orders_stage;
alter table orders.orders validate constraint orders_stage_facts;
alter table orders.orders validate constraint orders_next_action;
alter table orders.history validate constraint history_stage;
alter table orders.checkouts validate constraint checkouts_stage;

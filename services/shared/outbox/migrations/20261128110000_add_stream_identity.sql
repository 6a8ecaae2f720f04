-- Not every transport tells streams apart by an instant, and some have partitions. `stream_created` stays for the release that
-- runs while this one is rolled out; nothing writes it any more.
alter table {schema}.outbox add column if not exists stream_id text;
alter table {schema}.outbox add column if not exists stream_partition integer not null default 0;

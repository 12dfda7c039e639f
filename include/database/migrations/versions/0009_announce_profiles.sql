-- Which pull has read what a pushed record announces.
alter table pushed_record add column sync_run_id bigint;
comment on column pushed_record.sync_run_id is 'The pull that has read the profile that this record announces (kind actito_pushed); null again when it is announced anew.';

-- What lets a reconcile write most news without reading a person's whole story again.
alter table subscription add column records smallint;
comment on column subscription.records is 'How many source records speak of the person; null until it was counted. News of the only one needs no merging.';

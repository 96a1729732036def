\set id random(1, 10000)
update accounts set quantity = quantity + 1, changed_at = now() where id = :id;

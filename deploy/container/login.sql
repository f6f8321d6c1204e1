-- Gives makegood_app, which roles.sql made, the password from its secret. psql reads the file, so the
-- password stands neither here nor in the environment.
\set password `cat /run/secrets/makegood_password`
ALTER ROLE makegood_app PASSWORD :'password';

# Makes the two databases at the first start, each with a role that owns it and nothing else. Run by PostgreSQL's image.
for name in database/l4 mlflow/mlflow; do
    psql --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres \
        --set=role="${name#*/}" --set=password="$(cat "/run/secrets/${name%/*}/password")" <<'SQL'
CREATE ROLE :"role" LOGIN PASSWORD :'password';
CREATE DATABASE :"role" OWNER :"role";
SQL
done

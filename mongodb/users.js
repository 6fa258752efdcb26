// Who may do what in MongoDB, for docker-compose.staging.yml. The image runs it when the database is empty; after a
// password was changed it is run again: docker compose … exec mongodb mongosh --quiet /docker-entrypoint-initdb.d/users.js
const password = (name) => require("fs").readFileSync(`/run/secrets/mongodb_${name}_password`, "utf8").trim();

db.getSiblingDB("admin").auth("root", password("root"));

for (const [database, name, roles] of [
  ["specola", "backend", [{ role: "readWrite", db: "specola" }]],
  ["admin", "exporter", [{ role: "clusterMonitor", db: "admin" }, { role: "read", db: "local" }]],
]) {
  const users = db.getSiblingDB(database);
  const user = { pwd: password(name), roles };
  if (users.getUser(name)) users.updateUser(name, user);
  else users.createUser({ user: name, ...user });
}

//! One namespace with a database server, a binding or more, and an operator that can die.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crds::DatabaseBinding;
use operator::context::{Context, Parts};
use operator::error::Error;
use operator::kinds::database_binding::{PgServers, Servers, reconcile};
use operator::metrics::Metrics;
use operator::next::Next;
use operator_plan::Platform;
use operator_plan::database_binding::{Place, ROTATE, Server};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tower::Layer;

use super::api::{Api, instant, path};
use super::chaos::{Chaos, ChaosLayer, ChaosServers, Plan};
use super::postgres::{Postgres, postgres};

/// Longer waits than this mean that a binding is settled.
const ROUTINE: Duration = Duration::from_secs(60);

/// A Secret's decoded content.
pub type Keys = BTreeMap<String, String>;

/// One namespace and its operator.
pub struct World {
    /// The API server.
    pub api: Api,
    /// What stands between the operator and everything else.
    pub chaos: Arc<Chaos>,
    /// The namespace; no other world has it.
    pub namespace: String,
    /// How the operator reaches the database server.
    pub server: Server,
    operator: Arc<Context>,
    servers: Arc<dyn Servers>,
    /// How often the operator died.
    pub deaths: usize,
    /// The credentials before the last rotation that a test asked for.
    pub old: Keys,
    /// The test's own connection, kept for the next question.
    administrator: tokio::sync::Mutex<Option<(String, PgConnection)>>,
}

impl World {
    /// A world on the shared server.
    pub fn new() -> Self {
        Self::on(postgres())
    }

    /// A world with a server's Secret `server` and an operator that nothing happens to.
    pub fn on(postgres: &Postgres) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let namespace = format!("w{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let (api, chaos) = (Api::default(), Chaos::new(Plan::Peace));
        let (operator, servers) = operator(&api, &chaos);
        let server = postgres.server();
        let world = Self {
            api,
            chaos,
            namespace,
            server,
            operator,
            servers,
            deaths: 0,
            old: Keys::new(),
            administrator: tokio::sync::Mutex::default(),
        };
        world.put_server(&world.server);
        world
    }

    /// Writes the Secret that says where the server is.
    pub fn put_server(&self, server: &Server) {
        self.put_secret("server", server);
    }

    /// A shop that embeds this world's server and is held until its parts are gone.
    pub fn put_storefront(&self, name: &str, policy: &str) {
        self.put_secret(&format!("{name}-postgres-admin"), &self.server);
        let finalizers = ["storefront.dev/shop"];
        self.api.put(
            &self.storefront_path(name),
            json!({
                "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront",
                "metadata": { "name": name, "namespace": self.namespace, "finalizers": finalizers },
                "spec": {
                    "hostnames": ["demo.localhost"], "deletionPolicy": policy,
                    "notifications": { "email": { "smtp": { "host": "mail", "from": "a@b.c" } } },
                },
            }),
        );
    }

    /// Path of a shop.
    pub fn storefront_path(&self, name: &str) -> String {
        path("storefronts", &self.namespace, name)
    }

    /// Writes a Secret that says where a server is.
    pub fn put_secret(&self, name: &str, server: &Server) {
        let text = |value: &str| STANDARD.encode(value);
        let data = json!({
            "host": text(&server.host), "port": text(&server.port.to_string()),
            "username": text(&server.username), "password": text(&server.password),
            "sslmode": text("disable"),
        });
        self.api.put(
            &self.secret_path(name),
            json!({
                "apiVersion": "v1", "kind": "Secret", "data": data,
                "metadata": { "name": name, "namespace": self.namespace },
            }),
        );
    }

    /// Path of a Secret.
    pub fn secret_path(&self, name: &str) -> String {
        path("secrets", &self.namespace, name)
    }

    /// Path of a binding.
    pub fn binding_path(&self, name: &str) -> String {
        path("databasebindings", &self.namespace, name)
    }

    /// Creates a binding on the Secret's server.
    pub fn create(&self, name: &str, spec: Value) {
        let mut spec = spec;
        let fields = spec.as_object_mut().expect("a spec");
        fields
            .entry("serverRef")
            .or_insert(json!({ "adminSecret": { "name": "server" } }));
        self.api.put(
            &self.binding_path(name),
            json!({
                "apiVersion": "storefront.dev/v1alpha1", "kind": "DatabaseBinding", "spec": spec,
                "metadata": { "name": name, "namespace": self.namespace },
            }),
        );
    }

    /// The binding as it is.
    pub fn binding(&self, name: &str) -> Option<DatabaseBinding> {
        let value = self.api.get(&self.binding_path(name))?;
        Some(serde_json::from_value(value).expect("a DatabaseBinding"))
    }

    /// Status and reason of `Ready`.
    pub fn ready(&self, name: &str) -> (String, String) {
        let status = self
            .binding(name)
            .and_then(|binding| binding.status)
            .unwrap_or_default();
        let ready = status.conditions.iter().find(|c| c.type_ == "Ready");
        ready.map_or_else(Default::default, |c| (c.status.clone(), c.reason.clone()))
    }

    /// Message of `Ready`.
    pub fn message(&self, name: &str) -> String {
        let status = self
            .binding(name)
            .and_then(|binding| binding.status)
            .unwrap_or_default();
        let ready = status.conditions.iter().find(|c| c.type_ == "Ready");
        ready.map_or_else(String::new, |c| c.message.clone())
    }

    /// Starts counting afresh, with a plan.
    pub fn plan(&mut self, plan: Plan) {
        self.chaos = Chaos::new(plan);
        (self.operator, self.servers) = operator(&self.api, &self.chaos);
    }

    /// One reconciliation; a new operator takes over when this one dies in it.
    pub async fn once(&mut self, name: &str) -> Option<Result<Next, Error>> {
        let binding = Arc::new(self.binding(name)?);
        let outcome = tokio::select! {
            biased;
            () = self.chaos.died() => None,
            outcome = reconcile(&self.operator, &*self.servers, &binding) => Some(outcome),
        };
        if outcome.is_none() {
            self.deaths += 1;
            (self.operator, self.servers) = operator(&self.api, &self.chaos);
        }
        Some(outcome.unwrap_or(Ok(Next::Requeue(Duration::ZERO))))
    }

    /// One reconciliation of a copy of the object, which may be old.
    pub async fn reconcile(&self, cached: &DatabaseBinding) -> Result<Next, Error> {
        reconcile(&self.operator, &*self.servers, &Arc::new(cached.clone())).await
    }

    /// Reconciles until there is nothing left to do, without minding the waits.
    pub async fn settle(&mut self, name: &str) {
        let start = Instant::now();
        let mut last = String::new();
        while start.elapsed() < Duration::from_secs(60) {
            match self.once(name).await {
                None | Some(Ok(Next::AwaitChange)) => return,
                Some(Ok(Next::Requeue(wait))) if wait > ROUTINE => return,
                Some(Ok(Next::Requeue(wait))) => last = format!("{wait:?}"),
                Some(Err(error)) => last = error.chain(),
            }
        }
        panic!("{name} did not settle: {last}; {}", self.message(name));
    }

    /// A Secret's content.
    pub fn secret(&self, name: &str) -> Keys {
        let secret = self.api.get(&self.secret_path(name));
        secret.as_ref().map(keys).unwrap_or_default()
    }

    /// Name of the Secret that a binding says is to be used.
    pub fn secret_of(&self, name: &str) -> String {
        let status = self.binding(name).and_then(|binding| binding.status);
        let binding = status.and_then(|status| status.binding);
        let binding = binding.map(|binding| binding.name);
        binding.unwrap_or_else(|| format!("{name} has no Secret"))
    }

    /// The content of that Secret.
    pub fn keys_of(&self, name: &str) -> Keys {
        self.secret(&self.secret_of(name))
    }

    /// Asks for a rotation, as a user would; remembers the credentials that are in use.
    pub fn ask_to_rotate(&mut self, name: &str) {
        self.old = self.secret(&self.secret_of(name));
        let path = self.binding_path(name);
        let value =
            self.api.get(&path).expect("the binding")["metadata"]["resourceVersion"].clone();
        self.api.edit(&path, |binding| {
            binding["metadata"]["annotations"][ROTATE] = value;
        });
    }

    /// Lets the overlap of the last rotation be over.
    pub fn expire(&self, name: &str) {
        let past = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(2);
        self.api.edit(&self.binding_path(name), |binding| {
            let rotation = &mut binding["status"]["rotation"];
            assert!(rotation["outgoing"].is_object(), "there is an overlap");
            rotation["rotatedAt"] = instant(past).into();
            rotation["outgoing"]["until"] = instant(past).into();
        });
    }

    /// Logs in with what a Secret says.
    pub async fn log_in(&self, secret: &str) -> Result<PgConnection, sqlx::Error> {
        log_in_with(&self.secret(secret)).await
    }

    /// Runs SQL as the administrator and returns the first column.
    pub async fn sql(&self, database: &str, text: &str) -> Vec<String> {
        let mut kept = self.administrator.lock().await;
        let mut connection = match kept.take() {
            Some((open, connection)) if open == database => connection,
            _ => self.administer(database).await,
        };
        let rows = sqlx::raw_sql(AssertSqlSafe(text))
            .fetch_all(&mut connection)
            .await;
        let rows = rows.unwrap_or_else(|error| panic!("{text}: {error}"));
        let first = rows
            .iter()
            .map(|row| row.try_get_unchecked::<Option<String>, _>(0));
        let texts = first
            .map(|cell| cell.expect("text").unwrap_or_default())
            .collect();
        if database == Place::ADMINISTRATION {
            *kept = Some((database.to_owned(), connection));
        } else {
            drop(connection.close().await);
        }
        texts
    }

    async fn administer(&self, database: &str) -> PgConnection {
        let server = &self.server;
        let options = PgConnectOptions::new_without_pgpass()
            .host(&server.host)
            .port(server.port)
            .username(&server.username)
            .password(&server.password)
            .database(database)
            .ssl_mode(PgSslMode::Disable);
        PgConnection::connect_with(&options)
            .await
            .expect("a connection")
    }

    /// Names of this world's roles, sorted.
    pub async fn roles(&self) -> Vec<String> {
        let like = format!("{}\\_%", self.namespace);
        self.sql(
            "postgres",
            &format!("select rolname::text from pg_roles where rolname like '{like}' order by 1"),
        )
        .await
    }

    /// Names of this world's databases, sorted.
    pub async fn databases(&self) -> Vec<String> {
        let like = format!("{}\\_%", self.namespace);
        self.sql(
            "postgres",
            &format!(
                "select datname::text from pg_database where datname like '{like}' order by 1"
            ),
        )
        .await
    }

    /// Removes whatever this world has left on the server.
    pub async fn clean(&self) {
        for database in self.databases().await {
            self.sql(
                "postgres",
                &format!("drop database {database} with (force)"),
            )
            .await;
        }
        for role in self.roles().await {
            let drop = format!("drop owned by {role}; drop role {role}");
            self.sql("postgres", &drop).await;
        }
    }
}

/// The decoded content of a Secret.
pub fn keys(secret: &Value) -> Keys {
    let data = secret["data"].as_object().cloned().unwrap_or_default();
    data.into_iter()
        .map(|(key, value)| {
            let bytes = STANDARD
                .decode(value.as_str().expect("base64"))
                .expect("base64");
            (key, String::from_utf8(bytes).expect("text"))
        })
        .collect()
}

/// Logs in with a Secret's content.
pub async fn log_in_with(keys: &Keys) -> Result<PgConnection, sqlx::Error> {
    let key = |name: &str| keys.get(name).cloned().unwrap_or_default();
    let options = PgConnectOptions::new_without_pgpass()
        .host(&key("host"))
        .port(key("port").parse().unwrap_or(1))
        .username(&key("username"))
        .password(&key("password"))
        .database(&key("database"))
        .ssl_mode(PgSslMode::Disable);
    PgConnection::connect_with(&options).await
}

fn operator(api: &Api, chaos: &Arc<Chaos>) -> (Arc<Context>, Arc<dyn Servers>) {
    let service = ChaosLayer(Arc::clone(chaos)).layer(api.clone());
    let client = kube::Client::new(service, "default");
    let servers = ChaosServers {
        chaos: Arc::clone(chaos),
        inner: PgServers::default(),
    };
    let platform = Platform {
        registry: "localhost/storefront".into(),
        tag: "test".into(),
        digests: BTreeMap::new(),
        version: "1.0.0".into(),
        pull_policy: "IfNotPresent".into(),
        operator_namespace: "storefront-system".into(),
        rehearses: false,
    };
    let metrics = Metrics::new().expect("fresh metrics");
    let parts = Parts {
        platform,
        instance: "test-0".into(),
        installation: "storefront-system".into(),
        prober: Arc::new(operator::prober::HttpProber::new().expect("a client")),
        sees_classes: true,
    };
    (Context::new(client, metrics, parts), Arc::new(servers))
}

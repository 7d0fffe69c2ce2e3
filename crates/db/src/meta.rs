//! Single values about the database itself and what was done with it, by name.

use crate::engine::{Session, Value};
use crate::error::DbError;

/// Single values by name.
pub trait Meta {
    /// The value of a name.
    fn meta(&mut self, name: &str) -> Result<Option<String>, DbError>;

    /// Sets the value of a name. `schema` is not for others.
    fn set_meta(&mut self, name: &str, value: &str) -> Result<(), DbError>;

    /// Forgets a name.
    fn forget_meta(&mut self, name: &str) -> Result<(), DbError>;
}

impl<S: Session + ?Sized> Meta for S {
    fn meta(&mut self, name: &str) -> Result<Option<String>, DbError> {
        self.query("SELECT value FROM meta WHERE name = $1", &[name.into()])?
            .first()
            .map(|row| row.get(0))
            .transpose()
    }

    fn set_meta(&mut self, name: &str, value: &str) -> Result<(), DbError> {
        let sql = "INSERT INTO meta (name, value) VALUES ($1, $2) \
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.execute(sql, &[name.into(), value.into()]).map(drop)
    }

    fn forget_meta(&mut self, name: &str) -> Result<(), DbError> {
        let parameters = [Value::from(name)];
        self.execute("DELETE FROM meta WHERE name = $1", &parameters)
            .map(drop)
    }
}

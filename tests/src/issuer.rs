//! A key manager that publishes its keys at a JWKS URL, and can change them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use serde_json::{Value, json};

use crate::backend::json_response;
use crate::server::Server;
use crate::token::KeyPair;

/// A JWKS server.
#[derive(Debug)]
pub struct JwksServer {
    server: Server,
    keys: Arc<Mutex<Vec<Value>>>,
    fetches: Arc<AtomicUsize>,
}

impl JwksServer {
    /// Starts one that serves these keys.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(keys: &[&KeyPair]) -> Result<Self> {
        Self::serving(keys.iter().map(|key| key.jwk()).collect()).await
    }

    /// Starts one that serves these JSON Web Keys.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn serving(keys: Vec<Value>) -> Result<Self> {
        let keys = Arc::new(Mutex::new(keys));
        let fetches = Arc::new(AtomicUsize::new(0));
        let (served, counter) = (Arc::clone(&keys), Arc::clone(&fetches));
        let server = Server::start(move |_request| {
            counter.fetch_add(1, Ordering::Relaxed);
            let keys: &Vec<Value> = &served.lock().unwrap_or_else(PoisonError::into_inner);
            json_response(&json!({ "keys": keys }))
        })
        .await?;
        Ok(Self { server, keys, fetches })
    }

    /// Serves these keys from now on.
    pub fn rotate(&self, keys: &[&KeyPair]) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = keys.iter().map(|key| key.jwk()).collect();
    }

    /// How often the keys were fetched.
    #[must_use]
    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::Relaxed)
    }

    /// What `jwksURL` is to be.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/jwks", self.server.url())
    }
}

use super::describing::exports::rerate::rule::describe::{Guest, Manifest};
use super::describing::rerate::rule::types as wit;
use super::{Component, convert};
use crate::{Rule, schema, session};

impl<R: Rule> Guest for Component<R> {
    fn about() -> Manifest {
        let about = R::ABOUT;
        Manifest {
            name: about.name.to_owned(),
            version: about.version.to_owned(),
            title: about.title.to_owned(),
            summary: about.summary.to_owned(),
            config_schema: schema::json_schema(about.config),
        }
    }

    fn configure(config: String, period: wit::Period) -> Result<wit::Plan, wit::ConfigError> {
        session::configure::<R>(&config, &convert::period(period)).map(convert::plan).map_err(convert::config_error)
    }
}

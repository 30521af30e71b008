//! Commands are kept; a name that is no `group.command` is refused by the macro already.

use crate::host::types::Error;
use crate::testkit::world::world;

pub(crate) fn register(name: &str, doc: &str) -> Result<(), Error> {
    world(|world| {
        world.commands.push((name.to_owned(), doc.to_owned()));
        Ok(())
    })
}

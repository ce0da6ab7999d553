//! Loads the modules of a plan, each once, and matches their ports with tables.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::SchemaRef;

use super::fault::PipelineError;
use sluicebox_core::plan::{HopSpec, TableName};
use sluicebox_sandbox::{Binding, Descriptor, Module, Role, Sandbox};

/// A module as one hop uses it: described under the hop's configuration.
#[derive(Clone)]
pub struct HopModule {
    /// The compiled module, shared by every hop that names the same file.
    pub module: Module,
    /// Its descriptor under this hop's configuration.
    pub descriptor: Arc<Descriptor>,
    /// The index of the one input port that takes rows.
    pub rows_port: usize,
    /// The tables of the lookup ports, by port index.
    pub lookups: Vec<(usize, TableName)>,
    /// For each output port, the index of its table in the hop's `to`.
    pub sinks: Vec<usize>,
}

impl HopModule {
    /// Binds the ports to the columns that the upstream and the lookup tables have now.
    pub fn bind(
        &self,
        hop: &str,
        rows: &SchemaRef,
        lookups: &HashMap<TableName, SchemaRef>,
    ) -> Result<Arc<Binding>, PipelineError> {
        let mut inputs = vec![(self.descriptor.inputs[self.rows_port].name.clone(), rows.clone())];
        for (port, table) in &self.lookups {
            if let Some(schema) = lookups.get(table) {
                inputs.push((self.descriptor.inputs[*port].name.clone(), schema.clone()));
            }
        }
        self.descriptor
            .bind(&inputs)
            .map(Arc::new)
            .map_err(|source| PipelineError::Bind { hop: hop.to_owned(), source: Box::new(source) })
    }
}

/// Loads modules, each file once.
pub struct Loader<'a> {
    sandbox: &'a Arc<Sandbox>,
    loaded: HashMap<PathBuf, Module>,
}

impl<'a> Loader<'a> {
    /// A loader that has loaded nothing.
    pub fn new(sandbox: &'a Arc<Sandbox>) -> Self {
        Self { sandbox, loaded: HashMap::new() }
    }

    /// Loads and describes the module of a hop, and matches its ports with the hop's
    /// tables. `None` for a hop without a module.
    pub fn load(&mut self, hop: &HopSpec) -> Result<Option<HopModule>, PipelineError> {
        let Some(spec) = &hop.module else { return Ok(None) };
        let module = match self.loaded.get(&spec.path) {
            Some(module) => module.clone(),
            None => {
                let module = self.sandbox.load(&spec.path).map_err(|source| PipelineError::Admission {
                    hop: hop.name.clone(),
                    path: spec.path.clone(),
                    source: Box::new(source),
                })?;
                self.loaded.insert(spec.path.clone(), module.clone());
                module
            }
        };
        let descriptor = module.describe(&spec.config, &spec.limits).map_err(|source| PipelineError::Describe {
            hop: hop.name.clone(),
            path: spec.path.clone(),
            source: Box::new(source),
        })?;
        match_ports(hop, module, descriptor).map(Some)
    }
}

fn match_ports(hop: &HopSpec, module: Module, descriptor: Descriptor) -> Result<HopModule, PipelineError> {
    let wrong = |message: String, hint: String| PipelineError::Ports { hop: hop.name.clone(), message, hint };
    let names = |role: Role| {
        let names: Vec<_> = descriptor.inputs.iter().filter(|port| port.role == role).map(|port| &*port.name).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };

    let mut row_ports = descriptor.inputs.iter().enumerate().filter(|(_, port)| port.role == Role::Rows);
    let rows_port = match (row_ports.next(), row_ports.next()) {
        (Some((port, _)), None) => port,
        (None, _) => {
            return Err(wrong(
                format!("the module `{}` has no input port that takes rows", descriptor.name),
                "a module in a hop needs exactly one input port of role `rows`".into(),
            ));
        }
        (Some(_), Some(_)) => {
            return Err(wrong(
                format!("the module `{}` takes rows on several ports: {}", descriptor.name, names(Role::Rows)),
                "a hop has one upstream; make the other ports lookups".into(),
            ));
        }
    };

    let mut lookups = Vec::new();
    for (port, input) in descriptor.inputs.iter().enumerate().filter(|(_, port)| port.role == Role::Lookup) {
        match hop.lookups.iter().find(|(name, _)| *name == input.name) {
            Some((_, table)) => lookups.push((port, table.clone())),
            None => {
                return Err(wrong(
                    format!("the module `{}` looks rows up in `{}`, which has no table", descriptor.name, input.name),
                    format!("add `lookups = {{ {} = \"layer.table\" }}` to the hop", input.name),
                ));
            }
        }
    }
    if let Some((name, _)) = hop
        .lookups
        .iter()
        .find(|(name, _)| !descriptor.inputs.iter().any(|port| port.role == Role::Lookup && port.name == *name))
    {
        return Err(wrong(
            format!("the module `{}` has no lookup port `{name}`", descriptor.name),
            format!("its lookup ports: {}", names(Role::Lookup)),
        ));
    }

    let ports = descriptor.outputs.iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", ");
    let mut sinks = vec![None; descriptor.outputs.len()];
    for (sink, (name, table)) in hop.to.iter().enumerate() {
        let port = match name {
            None => Some(0).filter(|_| !descriptor.outputs.is_empty()),
            Some(name) => descriptor.outputs.iter().position(|port| port.name == *name),
        };
        let Some(port) = port else {
            return Err(wrong(
                format!(
                    "the module `{}` has no output port `{}` for table `{table}`",
                    descriptor.name,
                    name.as_deref().unwrap_or_default()
                ),
                format!("its output ports: {ports}"),
            ));
        };
        sinks[port] = Some(sink);
    }
    let unbound: Vec<_> = descriptor
        .outputs
        .iter()
        .zip(&sinks)
        .filter(|(_, sink)| sink.is_none())
        .map(|(port, _)| format!("{} = \"layer.table\"", port.name))
        .collect();
    if !unbound.is_empty() {
        return Err(wrong(
            format!("the module `{}` writes ports that no table takes", descriptor.name),
            format!("no row may be dropped in silence: add {} to the hop's `to`", unbound.join(", ")),
        ));
    }
    Ok(HopModule {
        module,
        rows_port,
        lookups,
        sinks: sinks.into_iter().flatten().collect(),
        descriptor: Arc::new(descriptor),
    })
}

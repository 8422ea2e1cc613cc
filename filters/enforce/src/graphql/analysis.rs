//! Checks a query against the schema, weighs it, and finds the fields of the root type that it asks for.
//!
//! Every definition is looked at once: fragments first, those without spreads before those that use them, so a chain or a
//! bomb of fragments costs no more than its text. `@skip` and `@include` change nothing: what may be asked for counts.
//!
//! Depth is that of graphql-java: the number of fields on the longest way down. Complexity of a field is its factor times
//! the sum of its own part and its children's; see [`Walk::factor`]. Left to the backend: types of values, directives,
//! fields that cannot be merged, variables that are not used.

use hashbrown::{HashMap, HashSet};
use tollgate_model::GraphQlKind;

use super::request::Posted;
use super::schema::{Field, TYPENAME, Type};
use super::syntax::{self, Document, FragmentDefinition, OperationDefinition, Selection, Value};
use super::{CompiledGraphQl, InvalidQuery, echo};

/// Arguments that say how many items are wanted, in lower case.
const COUNTS: [&str; 3] = ["first", "last", "limit"];

/// What the operation that a request wants carried out asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Analysis {
    /// Its kind.
    pub(crate) kind: GraphQlKind,
    /// Fields of the root type, each once, in the order of the query. At least one.
    pub(crate) fields: Vec<String>,
    /// Fields on the longest way down.
    pub(crate) depth: u32,
    /// Its weight.
    pub(crate) complexity: u64,
}

/// Analyses what was posted.
pub(crate) fn analyse(schema: &CompiledGraphQl, posted: &Posted) -> Result<Analysis, InvalidQuery> {
    let document = syntax::parse(&posted.query)?;
    let wanted = choose(&document.operations, posted.operation_name.as_deref())?;
    let fragments = Fragments::of(&document)?;
    let mut walk = Walk { schema, variables: variables(wanted, posted), fragments: HashMap::new() };
    for fragment in &fragments.order {
        let on = walk.composite(&fragment.on)?;
        let weight = walk.selections(&fragment.selections, on)?;
        walk.fragments.insert(&fragment.name, (on, weight));
    }
    let mut found = Weight::default();
    for operation in &document.operations {
        let root = schema.root(operation.kind).ok_or_else(|| {
            InvalidQuery::payload(&format!("The schema has no {} operations", operation.kind.name().to_lowercase()))
        })?;
        let weight = walk.selections(&operation.selections, root)?;
        if std::ptr::eq(operation, wanted) {
            found = weight;
        }
    }
    let fields = root_fields(wanted, &fragments);
    Ok(Analysis { kind: wanted.kind, fields, depth: found.depth, complexity: found.complexity })
}

/// The operation to carry out (GraphQL specification of October 2021, §6.1).
fn choose<'d>(
    operations: &'d [OperationDefinition],
    wanted: Option<&str>,
) -> Result<&'d OperationDefinition, InvalidQuery> {
    let mut names = HashSet::new();
    for operation in operations {
        match &operation.name {
            Some(name) if !names.insert(name) => return Err(twice("operation", name)),
            None if operations.len() > 1 => {
                return Err(InvalidQuery::payload("An operation without a name must be the only one"));
            }
            _ => {}
        }
    }
    match (operations, wanted) {
        ([], _) => Err(InvalidQuery::request("Operation definition cannot be empty")),
        (_, Some(wanted)) => operations
            .iter()
            .find(|operation| operation.name.as_deref() == Some(wanted))
            .ok_or_else(|| InvalidQuery::payload(&format!("There is no operation named {}", echo(wanted)))),
        ([only], None) => Ok(only),
        (_, None) => Err(InvalidQuery::payload("There are several operations, and operationName names none of them")),
    }
}

fn twice(what: &str, name: &str) -> InvalidQuery {
    InvalidQuery::payload(&format!("The {what} {} is there twice", echo(name)))
}

/// Values of the operation's variables: as posted, or else their defaults.
fn variables<'d>(operation: &'d OperationDefinition, posted: &Posted) -> HashMap<&'d str, Value> {
    let value = |(name, default): &'d (String, Option<Value>)| {
        let value = posted.variables.get(name).or(default.as_ref()).cloned().unwrap_or(Value::Null);
        (name.as_str(), value)
    };
    operation.variables.iter().map(value).collect()
}

/// The fragments of a document.
struct Fragments<'d> {
    /// Each after all that it uses.
    order: Vec<&'d FragmentDefinition>,
    by_name: HashMap<&'d str, &'d FragmentDefinition>,
}

impl<'d> Fragments<'d> {
    /// Puts them in order without recursion (Kahn's algorithm), since their number is the client's choice.
    fn of(document: &'d Document) -> Result<Self, InvalidQuery> {
        let mut by_name = HashMap::new();
        for fragment in &document.fragments {
            if by_name.insert(fragment.name.as_str(), fragment).is_some() {
                return Err(twice("fragment", &fragment.name));
            }
        }
        let mut waiting: HashMap<&str, usize> = HashMap::new();
        let mut users: HashMap<&str, Vec<&'d FragmentDefinition>> = HashMap::new();
        let mut ready = Vec::new();
        for fragment in &document.fragments {
            let mut used = HashSet::new();
            spreads(&fragment.selections, &mut used);
            if used.is_empty() {
                ready.push(fragment);
            }
            waiting.insert(&fragment.name, used.len());
            for name in used {
                users.entry(name).or_default().push(fragment);
            }
        }
        let mut order = Vec::with_capacity(document.fragments.len());
        while let Some(fragment) = ready.pop() {
            order.push(fragment);
            for user in users.remove(fragment.name.as_str()).unwrap_or_default() {
                let Some(left) = waiting.get_mut(user.name.as_str()) else { continue };
                *left = left.saturating_sub(1);
                if *left == 0 {
                    ready.push(user);
                }
            }
        }
        if order.len() == document.fragments.len() {
            return Ok(Self { order, by_name });
        }
        // What was never ready uses itself, or something that does not exist.
        let unknown = users.keys().find(|name| !by_name.contains_key(*name));
        Err(unknown
            .map_or_else(|| InvalidQuery::payload("Fragments use each other in a circle"), |name| no_fragment(name)))
    }
}

fn no_fragment(name: &str) -> InvalidQuery {
    InvalidQuery::payload(&format!("There is no fragment named {}", echo(name)))
}

/// Names of the fragments that selections use.
fn spreads<'d>(selections: &'d [Selection], found: &mut HashSet<&'d str>) {
    for selection in selections {
        match selection {
            Selection::Field { selections, .. } => spreads(selections.as_deref().unwrap_or_default(), found),
            Selection::Inline { selections, .. } => spreads(selections, found),
            Selection::Spread(name) => {
                found.insert(name);
            }
        }
    }
}

/// Fields that the operation selects from its root type, directly or through fragments, each of which is entered once.
fn root_fields(operation: &OperationDefinition, fragments: &Fragments) -> Vec<String> {
    let (mut names, mut known) = (Vec::new(), HashSet::new());
    let mut entered = HashSet::new();
    let mut open: Vec<&[Selection]> = vec![&operation.selections];
    while let Some(selections) = open.pop() {
        for selection in selections {
            match selection {
                Selection::Field { name, .. } if known.insert(name.as_str()) => names.push(name.clone()),
                Selection::Field { .. } => {}
                Selection::Inline { selections, .. } => open.push(selections),
                Selection::Spread(name) => {
                    if let Some(fragment) = fragments.by_name.get(name.as_str())
                        && entered.insert(name.as_str())
                    {
                        open.push(&fragment.selections);
                    }
                }
            }
        }
    }
    names
}

/// Weight of a selection set.
#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    depth: u32,
    complexity: u64,
}

impl Weight {
    /// Of two selections side by side.
    fn beside(self, other: Self) -> Self {
        Self { depth: self.depth.max(other.depth), complexity: self.complexity.saturating_add(other.complexity) }
    }
}

struct Walk<'s, 'd> {
    schema: &'s CompiledGraphQl,
    variables: HashMap<&'d str, Value>,
    /// Those already weighed, with their types.
    fragments: HashMap<&'d str, (&'s Type, Weight)>,
}

impl<'s, 'd> Walk<'s, 'd> {
    /// As deep as the parser's own recursion, which is bounded.
    fn selections(&self, selections: &'d [Selection], parent: &'s Type) -> Result<Weight, InvalidQuery> {
        selections.iter().try_fold(Weight::default(), |sum, one| Ok(sum.beside(self.selection(one, parent)?)))
    }

    fn selection(&self, selection: &'d Selection, parent: &'s Type) -> Result<Weight, InvalidQuery> {
        match selection {
            Selection::Field { name, arguments, selections } => {
                self.field(name, arguments, selections.as_deref(), parent)
            }
            Selection::Spread(name) => {
                let (on, weight) = self.fragments.get(name.as_str()).ok_or_else(|| no_fragment(name))?;
                self.applies(on, parent).map(|()| *weight)
            }
            Selection::Inline { on, selections } => {
                let on = on.as_ref().map_or(Ok(parent), |on| self.composite(on))?;
                self.applies(on, parent)?;
                self.selections(selections, on)
            }
        }
    }

    fn field(
        &self,
        name: &str,
        arguments: &[(String, Value)],
        selections: Option<&'d [Selection]>,
        parent: &'s Type,
    ) -> Result<Weight, InvalidQuery> {
        let at = || format!("{} of type {}", echo(name), parent.name);
        if name == TYPENAME {
            let plain = arguments.is_empty() && selections.is_none();
            return if plain { Ok(LEAF) } else { Err(InvalidQuery::payload("__typename takes nothing")) };
        }
        let Some(field) = parent.field(name) else {
            // Introspection that is not exposed. Nobody gets further than to be told so.
            if self.is_introspection(name, parent) {
                return Ok(LEAF);
            }
            return Err(InvalidQuery::payload(&format!("There is no field {}", at())));
        };
        check_arguments(field, arguments, at)?;
        let below = match (&field.composite, selections) {
            (Some(composite), Some(selections)) => self.selections(selections, self.composite(composite)?)?,
            (None, None) => Weight::default(),
            (Some(_), None) => {
                return Err(InvalidQuery::payload(&format!("Nothing is selected of the field {}", at())));
            }
            (None, Some(_)) => return Err(InvalidQuery::payload(&format!("The field {} has no fields", at()))),
        };
        let own = field.complexity.saturating_add(below.complexity);
        Ok(Weight { depth: below.depth.saturating_add(1), complexity: own.saturating_mul(self.factor(arguments)) })
    }

    /// 1 without arguments; otherwise the sum of what each counts: the number for `first`, `last` and `limit`, 1 for any
    /// other.
    fn factor(&self, arguments: &[(String, Value)]) -> u64 {
        if arguments.is_empty() {
            return 1;
        }
        arguments.iter().fold(0, |sum: u64, (name, value)| {
            let value = match value {
                Value::Variable(variable) => self.variables.get(variable.as_str()).unwrap_or(&Value::Null),
                other => other,
            };
            let counts = COUNTS.iter().any(|count| name.eq_ignore_ascii_case(count));
            sum.saturating_add(match value {
                Value::Number(number) if counts => *number,
                _ => 1,
            })
        })
    }

    fn composite(&self, name: &str) -> Result<&'s Type, InvalidQuery> {
        let message = || InvalidQuery::payload(&format!("There is no type {} to select from", echo(name)));
        self.schema.get(name).ok_or_else(message)
    }

    /// Whether a fragment on one type may stand in a selection of the other.
    fn applies(&self, on: &Type, parent: &Type) -> Result<(), InvalidQuery> {
        let message = || format!("A fragment on {} never applies to {}", on.name, parent.name);
        if parent.overlaps(on) { Ok(()) } else { Err(InvalidQuery::payload(&message())) }
    }

    fn is_introspection(&self, name: &str, parent: &Type) -> bool {
        let root = self.schema.root(GraphQlKind::Query);
        matches!(name, "__schema" | "__type") && root.is_some_and(|root| std::ptr::eq(root, parent))
    }
}

const LEAF: Weight = Weight { depth: 1, complexity: 1 };

fn check_arguments(field: &Field, arguments: &[(String, Value)], at: impl Fn() -> String) -> Result<(), InvalidQuery> {
    let mut given = HashSet::with_capacity(arguments.len());
    for (name, _) in arguments {
        if !field.arguments.iter().any(|known| known.name == *name) {
            return Err(InvalidQuery::payload(&format!("There is no argument {} of the field {}", echo(name), at())));
        }
        if !given.insert(name.as_str()) {
            return Err(twice("argument", name));
        }
    }
    let is_given = |wanted: &str| arguments.iter().any(|(name, value)| name == wanted && *value != Value::Null);
    match field.arguments.iter().find(|known| known.required && !is_given(&known.name)) {
        Some(missing) => {
            Err(InvalidQuery::payload(&format!("The argument {} of the field {} is missing", missing.name, at())))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;

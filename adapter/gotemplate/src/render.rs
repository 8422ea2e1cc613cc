//! Walks the tree. Every step and every byte of output is counted.

use std::borrow::Cow;

use serde_json::Value;

use crate::functions;
use crate::parse::{Command, Header, Node, Operand, OperandKind, Pipeline};
use crate::text::printed;
use crate::{MAX_BYTES, MAX_OUTPUT, MAX_STEPS, Position, TemplateError};

/// A value of the data, of the template, or made on the way. What is made on the way is never a list or a map.
pub(crate) type Val<'r> = Cow<'r, Value>;

pub(crate) fn render(nodes: &[Node], data: &Value) -> Result<String, TemplateError> {
    let root = Cow::Borrowed(data);
    let mut run = Run { variables: vec![("", root.clone())], out: String::new(), steps: 0, bytes: 0 };
    run.nodes(nodes, &root)?;
    Ok(run.out)
}

struct Run<'r> {
    /// In order of declaration; the first is `$`.
    variables: Vec<(&'r str, Val<'r>)>,
    out: String,
    steps: usize,
    /// Bytes of text copied or looked at.
    bytes: usize,
}

impl<'r> Run<'r> {
    fn nodes(&mut self, nodes: &'r [Node], dot: &Val<'r>) -> Result<(), TemplateError> {
        let outside = self.variables.len();
        for node in nodes {
            match node {
                Node::Text(text) => self.write(text, START)?,
                Node::Print(pipeline) => self.print(pipeline, dot)?,
                Node::Assign { name, declare, value } => self.assign(name, *declare, value, dot)?,
                Node::Branch { condition, moves_dot, then, otherwise } => {
                    let mark = self.variables.len();
                    let value = self.declare(condition, dot)?;
                    if functions::truth(&value) {
                        self.nodes(then, if *moves_dot { &value } else { dot })?;
                    } else {
                        self.nodes(otherwise, dot)?;
                    }
                    self.variables.truncate(mark);
                }
                Node::Range { list, body, otherwise } => self.range(list, body, otherwise, dot)?,
            }
        }
        self.variables.truncate(outside);
        Ok(())
    }

    fn print(&mut self, pipeline: &'r Pipeline, dot: &Val<'r>) -> Result<(), TemplateError> {
        let value = self.pipeline(pipeline, dot)?;
        let at = pipeline.commands.first().map_or(START, |command| command.at);
        match printed(&value) {
            Ok(text) => self.write(&text, at),
            Err(what) => Err(TemplateError { missing: name_of(pipeline), ..TemplateError::new(at, what) }),
        }
    }

    fn assign(
        &mut self,
        name: &'r str,
        declare: bool,
        value: &'r Pipeline,
        dot: &Val<'r>,
    ) -> Result<(), TemplateError> {
        let at = value.commands.first().map_or(START, |command| command.at);
        let value = self.pipeline(value, dot)?;
        if declare {
            self.variables.push((name, value));
            return Ok(());
        }
        let variable = self.variables.iter_mut().rev().find(|(declared, _)| *declared == name);
        let (_, held) = variable.ok_or_else(|| TemplateError::new(at, format!("there is no variable ${name}")))?;
        *held = value;
        Ok(())
    }

    fn declare(&mut self, header: &'r Header, dot: &Val<'r>) -> Result<Val<'r>, TemplateError> {
        let value = self.pipeline(&header.value, dot)?;
        if let Some(name) = header.variables.first() {
            self.variables.push((name, value.clone()));
        }
        Ok(value)
    }

    fn range(
        &mut self,
        list: &'r Header,
        body: &'r [Node],
        otherwise: &'r [Node],
        dot: &Val<'r>,
    ) -> Result<(), TemplateError> {
        let at = list.value.commands.first().map_or(START, |command| command.at);
        let items: Vec<(Value, &'r Value)> = match self.pipeline(&list.value, dot)? {
            Cow::Borrowed(Value::Array(items)) => {
                items.iter().enumerate().map(|(index, item)| (Value::from(index), item)).collect()
            }
            Cow::Borrowed(Value::Object(members)) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by_key(|(key, _)| *key);
                members.into_iter().map(|(key, item)| (Value::String(key.clone()), item)).collect()
            }
            value if *value == Value::Null => Vec::new(),
            _ => return Err(TemplateError::new(at, "only a list or a map can be ranged over")),
        };
        if items.is_empty() {
            return self.nodes(otherwise, dot);
        }
        for (key, item) in items {
            self.step(at)?;
            let mark = self.variables.len();
            let item = Cow::Borrowed(item);
            match list.variables.as_slice() {
                [] => {}
                [value] => self.variables.push((value, item.clone())),
                [index, value, ..] => self.variables.extend([(index.as_str(), Cow::Owned(key)), (value, item.clone())]),
            }
            self.nodes(body, &item)?;
            self.variables.truncate(mark);
        }
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &'r Pipeline, dot: &Val<'r>) -> Result<Val<'r>, TemplateError> {
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, value, dot)?);
        }
        Ok(value.unwrap_or(Cow::Owned(Value::Null)))
    }

    fn command(
        &mut self,
        command: &'r Command,
        piped: Option<Val<'r>>,
        dot: &Val<'r>,
    ) -> Result<Val<'r>, TemplateError> {
        let mut arguments: Vec<Val<'r>> = Vec::with_capacity(command.operands.len().saturating_add(1));
        for operand in &command.operands {
            let value = self.operand(operand, dot)?;
            // `and` and `or` look no further than they must.
            if command.function.is_some_and(|function| function.stops_at(&value)) {
                return Ok(value);
            }
            arguments.push(value);
        }
        arguments.extend(piped);
        for argument in &arguments {
            self.handle(argument, command.at)?;
        }
        match command.function {
            Some(function) => {
                functions::call(function, &arguments).map_err(|what| TemplateError::new(command.at, what))
            }
            None => Ok(arguments.into_iter().next().unwrap_or(Cow::Owned(Value::Null))),
        }
    }

    fn operand(&mut self, operand: &'r Operand, dot: &Val<'r>) -> Result<Val<'r>, TemplateError> {
        self.step(operand.at)?;
        let (value, path) = match &operand.kind {
            OperandKind::Field(path) => (dot.clone(), path),
            OperandKind::Variable(name, path) => {
                let variable = self.variables.iter().rev().find(|(declared, _)| declared == name);
                let missing = || TemplateError::new(operand.at, format!("there is no variable ${name}"));
                (variable.ok_or_else(missing)?.1.clone(), path)
            }
            OperandKind::Literal(value) => return Ok(Cow::Borrowed(value)),
            OperandKind::Group(pipeline) => return self.pipeline(pipeline, dot),
        };
        self.handle(&value, operand.at)?;
        walk(value, path)
            .map_err(|name| TemplateError::new(operand.at, format!(".{name} cannot be taken of what is not a map")))
    }

    fn write(&mut self, text: &str, at: Position) -> Result<(), TemplateError> {
        self.step(at)?;
        if self.out.len().saturating_add(text.len()) > MAX_OUTPUT {
            return Err(TemplateError::new(at, format!("the rendering has more than {MAX_OUTPUT} bytes")));
        }
        self.out.push_str(text);
        Ok(())
    }

    /// Counts the bytes of a text, so that no function can be made to work on large ones over and over.
    fn handle(&mut self, value: &Value, at: Position) -> Result<(), TemplateError> {
        self.bytes = self.bytes.saturating_add(value.as_str().map_or(0, str::len));
        if self.bytes > MAX_BYTES {
            return Err(TemplateError::new(at, format!("the rendering works on more than {MAX_BYTES} bytes of text")));
        }
        Ok(())
    }

    fn step(&mut self, at: Position) -> Result<(), TemplateError> {
        self.steps = self.steps.saturating_add(1);
        if self.steps > MAX_STEPS {
            return Err(TemplateError::new(at, format!("the rendering takes more than {MAX_STEPS} steps")));
        }
        Ok(())
    }
}

/// Where nothing better is known.
const START: Position = Position { line: 1, column: 1 };

/// Follows a path. What is not there is null.
fn walk<'r>(value: Val<'r>, path: &'r [String]) -> Result<Val<'r>, &'r str> {
    let mut value = value;
    for name in path {
        value = match value {
            Cow::Borrowed(Value::Object(members)) => members.get(name).map_or(Cow::Owned(Value::Null), Cow::Borrowed),
            Cow::Borrowed(Value::Null) | Cow::Owned(Value::Null) => Cow::Owned(Value::Null),
            _ => return Err(name),
        };
    }
    Ok(value)
}

/// The field that a pipeline is, if it is nothing else.
fn name_of(pipeline: &Pipeline) -> Option<String> {
    match pipeline.commands.as_slice() {
        [Command { function: None, operands, .. }] => match operands.as_slice() {
            [Operand { kind: OperandKind::Field(path), .. }] => Some(path.join(".")),
            _ => None,
        },
        _ => None,
    }
}

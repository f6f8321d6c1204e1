//! JSON pointers (RFC 6901), followed down a text as it is read.

/// The pointers to look for in one pass, as the tree of their steps.
#[derive(Clone, Debug, Default)]
pub struct Pointers {
    pub(super) count: usize,
    pub(super) root: Node,
    /// Whether nobody reads anything else of the text.
    pub(super) alone: bool,
}

/// A place in the text that pointers lead to or through.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// Which of the pointers end here.
    pub here: Vec<usize>,
    /// By an object's keys, or an array's indexes.
    below: Vec<(String, Node)>,
}

impl Pointers {
    /// Of pointers that each begin with `/`, in this order.
    pub fn new<'p>(pointers: impl IntoIterator<Item = &'p str>) -> Pointers {
        let mut tree = Pointers::default();
        for pointer in pointers {
            let steps = pointer.split('/').skip(1);
            let node = steps.fold(&mut tree.root, |node, step| node.grow(unescaped(step)));
            node.here.push(tree.count);
            tree.count += 1;
        }
        tree
    }
}

impl Pointers {
    /// The same where nobody reads anything else of the text.
    pub fn alone(self, alone: bool) -> Pointers {
        Pointers { alone, ..self }
    }
}

impl Node {
    /// The place below this one at `step`, if a pointer leads there.
    pub fn step(&self, step: &str) -> Option<&Node> {
        self.below.iter().find(|(name, _)| name == step).map(|(_, node)| node)
    }

    /// Whether no pointer leads further.
    pub fn is_leaf(&self) -> bool {
        self.below.is_empty()
    }

    fn grow(&mut self, step: String) -> &mut Node {
        let known = self.below.iter().position(|(name, _)| *name == step);
        let at = known.unwrap_or_else(|| {
            self.below.push((step, Node::default()));
            self.below.len() - 1
        });
        &mut self.below[at].1
    }
}

/// One step of a pointer as the key it means.
pub(crate) fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

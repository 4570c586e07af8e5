//! Writes of one list, and the tables as they will be after them.

use super::{Image, Write};

/// Collects writes, each carried out on the image at once. Puts that follow each other, whatever Service port each is of, are
/// brought together by table, so that the kernel can take many in one go.
#[derive(Debug)]
pub(super) struct Journal {
    image: Image,
    writes: Vec<Write>,
    /// Puts that go after them, by [`Write::stage`].
    puts: [Vec<Write>; Write::STAGES],
    /// Names that go last: after the epoch, so that no flow is left with a number that means nothing.
    names_leaving: Vec<Write>,
    a_member_left: bool,
}

impl Journal {
    pub(super) fn new(image: Image) -> Self {
        Self { image, writes: Vec::new(), puts: Default::default(), names_leaving: Vec::new(), a_member_left: false }
    }

    pub(super) fn image(&self) -> &Image {
        &self.image
    }

    pub(super) fn push(&mut self, write: Write) {
        match write {
            Write::DeleteName(_) => return self.names_leaving.push(write),
            Write::DeleteMember(_) => self.a_member_left = true,
            _ => {}
        }
        self.image.apply(&write);
        if let Some(stage) = write.stage() {
            self.puts[stage].push(write);
        } else {
            self.end_puts();
            self.writes.push(write);
        }
    }

    fn end_puts(&mut self) {
        for puts in &mut self.puts {
            self.writes.append(puts);
        }
    }

    /// The list, with one step of the epoch for all members that left.
    pub(super) fn finish(&mut self) -> Vec<Write> {
        self.end_puts();
        if std::mem::take(&mut self.a_member_left) {
            self.writes.push(Write::AdvanceEpoch);
        }
        for write in self.names_leaving.drain(..) {
            self.image.apply(&write);
            self.writes.push(write);
        }
        std::mem::take(&mut self.writes)
    }
}

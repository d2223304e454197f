//! Which part of the arena belongs to whom, as numbers: no pointer, no system call, no unsafe.
//!
//! ```text
//! arena = pages of 4 KiB; a run of pages is   free
//!                                           | a slab: equal slots of one size class, a bit for each free one
//!                                           | one large allocation
//! ```
//! Sizes up to 8 KiB are rounded up to one of 32 classes, four for each doubling: at most a quarter is lost. What is
//! larger gets whole pages. A slab without a taken slot goes back to the free pages, but for the last of its class.
//! Never allocates after it was made: it is called from inside the process's allocator.

/// Size of a page, in bytes: the unit in which the arena is divided.
pub(crate) const PAGE: usize = 4096;
/// Slot sizes, in bytes; all are multiples of 16, which is the alignment of every slot.
const CLASSES: [u16; 32] = [
    16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280,
    1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192,
];
/// Largest slot.
const SMALL: usize = 8192;
/// No page.
const NONE: u32 = u32::MAX;

/// What a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Free,
    /// First page of a slab.
    Slab(Slab),
    /// First page of a large allocation of so many pages.
    Large(u32),
    /// So many pages after the first one of its slab or large allocation.
    Inside(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slab {
    class: u8,
    free: u16,
    /// One bit a slot, set while it is free.
    bits: [u64; 4],
    /// Neighbours in the list of slabs of this class that have a free slot.
    before: u32,
    after: u32,
}

/// A pointer that was not given out, or was given back before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotTaken;

/// The division of an arena.
pub(crate) struct Plan {
    pages: Box<[Page]>,
    /// For each class the first slab with a free slot.
    open: [u32; CLASSES.len()],
    /// No page before this one is free.
    low: usize,
    used: usize,
    peak: usize,
}

/// Pages of a slab: at least eight slots, or one page.
fn slab_pages(class: usize) -> usize {
    match CLASSES[class] {
        ..=512 => 1,
        513..=2048 => 4,
        2049.. => 16,
    }
}

fn slots(class: usize) -> usize {
    slab_pages(class) * PAGE / usize::from(CLASSES[class])
}

fn number(page: usize) -> u32 {
    u32::try_from(page).unwrap_or(NONE)
}

impl Plan {
    /// All free; `bytes` is rounded down to whole pages.
    pub(crate) fn new(bytes: usize) -> Self {
        let pages = vec![Page::Free; bytes / PAGE].into_boxed_slice();
        Self { pages, open: [NONE; CLASSES.len()], low: 0, used: 0, peak: 0 }
    }

    /// Bytes given out now, rounded up as they were.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// The most bytes that were ever given out at a time.
    pub(crate) fn peak(&self) -> usize {
        self.peak
    }

    /// Takes room for `size` bytes, aligned to 16, or to a page where `align` is more. Returns its offset.
    ///
    /// `None`: no room, or an alignment beyond a page.
    pub(crate) fn take(&mut self, size: usize, align: usize) -> Option<usize> {
        let (offset, taken) = match align {
            ..=16 if size <= SMALL => {
                self.take_slot(CLASSES.partition_point(|&class| usize::from(class) < size))?
            }
            ..=PAGE => self.take_pages(size.max(1).div_ceil(PAGE))?,
            _ => return None,
        };
        self.used += taken;
        self.peak = self.peak.max(self.used);
        Some(offset)
    }

    /// How many bytes may be used at `offset`, which must be what [`Self::take`] returned.
    pub(crate) fn size(&self, offset: usize) -> Result<usize, NotTaken> {
        let (page, kind) = self.owner(offset)?;
        match kind {
            Page::Slab(slab) => {
                let slot = taken_slot(page, slab, offset)?;
                debug_assert!(slot < slots(slab.class.into()));
                Ok(CLASSES[usize::from(slab.class)].into())
            }
            Page::Large(pages) if offset == page * PAGE => Ok(*pages as usize * PAGE),
            Page::Large(_) | Page::Free | Page::Inside(_) => Err(NotTaken),
        }
    }

    /// Gives back what [`Self::take`] returned, and says how many bytes that were. Nothing changes on an error.
    pub(crate) fn give_back(&mut self, offset: usize) -> Result<usize, NotTaken> {
        let (page, kind) = self.owner(offset)?;
        let size = match kind {
            Page::Slab(slab) => {
                let (class, slot) = (usize::from(slab.class), taken_slot(page, slab, offset)?);
                self.free_slot(page, slot);
                CLASSES[class].into()
            }
            Page::Large(pages) if offset == page * PAGE => {
                let pages = *pages as usize;
                self.free_pages(page, pages);
                pages * PAGE
            }
            Page::Large(_) | Page::Free | Page::Inside(_) => return Err(NotTaken),
        };
        self.used -= size;
        Ok(size)
    }

    /// The first page of what `offset` lies in.
    fn owner(&self, offset: usize) -> Result<(usize, &Page), NotTaken> {
        let page = offset / PAGE;
        match self.pages.get(page).ok_or(NotTaken)? {
            Page::Inside(back) => {
                let first = page - *back as usize;
                Ok((first, &self.pages[first]))
            }
            kind => Ok((page, kind)),
        }
    }

    fn take_slot(&mut self, class: usize) -> Option<(usize, usize)> {
        let page = match self.open[class] {
            NONE => self.new_slab(class)?,
            page => page as usize,
        };
        let Page::Slab(slab) = &mut self.pages[page] else { return None };
        let word = slab.bits.iter().position(|word| *word != 0)?;
        let bit = slab.bits[word].trailing_zeros() as usize;
        slab.bits[word] &= !(1 << bit);
        slab.free -= 1;
        if slab.free == 0 {
            let full = *slab;
            self.close(page, full);
        }
        let size = usize::from(CLASSES[class]);
        Some((page * PAGE + (word * 64 + bit) * size, size))
    }

    /// Precondition: `page` is the first of a slab, and the slot is taken.
    fn free_slot(&mut self, page: usize, slot: usize) {
        let Page::Slab(slab) = &mut self.pages[page] else { return };
        let class = usize::from(slab.class);
        slab.bits[slot / 64] |= 1 << (slot % 64);
        slab.free += 1;
        if slab.free == 1 {
            let opened = *slab;
            self.open(page, opened);
        } else if usize::from(slab.free) == slots(class) && (slab.before, slab.after) != (NONE, NONE) {
            let empty = *slab;
            self.close(page, empty);
            self.free_pages(page, slab_pages(class));
        }
    }

    fn new_slab(&mut self, class: usize) -> Option<usize> {
        let (offset, _) = self.take_pages(slab_pages(class))?;
        let page = offset / PAGE;
        let slots = slots(class);
        let mut bits = [0; 4];
        for slot in 0..slots {
            bits[slot / 64] |= 1 << (slot % 64);
        }
        // At most 32 classes and 256 slots: both fit.
        let (class, free) = (u8::try_from(class).ok()?, u16::try_from(slots).ok()?);
        self.open(page, Slab { class, free, bits, before: NONE, after: NONE });
        Some(page)
    }

    /// Puts a slab with a free slot at the head of its class's list.
    fn open(&mut self, page: usize, slab: Slab) {
        let head = &mut self.open[usize::from(slab.class)];
        let after = std::mem::replace(head, number(page));
        self.pages[page] = Page::Slab(Slab { before: NONE, after, ..slab });
        if let Some(Page::Slab(next)) = self.pages.get_mut(after as usize) {
            next.before = number(page);
        }
    }

    /// Takes a slab out of its class's list.
    fn close(&mut self, page: usize, slab: Slab) {
        match self.pages.get_mut(slab.before as usize) {
            Some(Page::Slab(before)) => before.after = slab.after,
            _ => self.open[usize::from(slab.class)] = slab.after,
        }
        if let Some(Page::Slab(after)) = self.pages.get_mut(slab.after as usize) {
            after.before = slab.before;
        }
        self.pages[page] = Page::Slab(Slab { before: NONE, after: NONE, ..slab });
    }

    /// First fit: low pages are used again before new ones are touched.
    fn take_pages(&mut self, count: usize) -> Option<(usize, usize)> {
        let mut start = self.low;
        let mut lowest = None;
        let first = loop {
            let at = start + self.pages.get(start..)?.iter().position(|page| *page == Page::Free)?;
            lowest.get_or_insert(at);
            let run = self.pages.get(at..at.checked_add(count)?)?;
            match run.iter().rposition(|page| *page != Page::Free) {
                None => break at,
                Some(taken) => start = at + taken + 1,
            }
        };
        self.low = if lowest == Some(first) { first + count } else { self.low };
        self.pages[first] = Page::Large(number(count));
        for back in 1..count {
            self.pages[first + back] = Page::Inside(number(back));
        }
        Some((first * PAGE, count * PAGE))
    }

    fn free_pages(&mut self, first: usize, count: usize) {
        self.pages[first..first + count].fill(Page::Free);
        self.low = self.low.min(first);
    }
}

/// The number of the slot that starts at `offset`, if it is taken.
fn taken_slot(page: usize, slab: &Slab, offset: usize) -> Result<usize, NotTaken> {
    let class = usize::from(slab.class);
    let (inside, size) = (offset - page * PAGE, usize::from(CLASSES[class]));
    let slot = inside / size;
    let is_taken = slot < slots(class) && slab.bits[slot / 64] & (1 << (slot % 64)) == 0;
    if inside.is_multiple_of(size) && is_taken { Ok(slot) } else { Err(NotTaken) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_size_gets_room_for_itself_and_loses_at_most_a_quarter() {
        for size in 1..=SMALL {
            let mut plan = Plan::new(1 << 20);
            let offset = plan.take(size, 16).unwrap();
            let room = plan.size(offset).unwrap();
            assert!(room >= size && (room <= size + size / 4 + 15), "{size} got {room}");
        }
    }

    #[test]
    fn slots_fill_their_slab_and_no_slab_has_more_slots_than_bits() {
        for (class, size) in CLASSES.iter().enumerate() {
            assert!((1..=256).contains(&slots(class)));
            assert_eq!(size % 16, 0);
        }
    }

    #[test]
    fn what_was_not_given_out_cannot_be_given_back() {
        let mut plan = Plan::new(1 << 20);
        let (small, large) = (plan.take(100, 8).unwrap(), plan.take(20_000, 8).unwrap());
        for wrong in [small + 16, small + 112, large + PAGE, large + 1, 1 << 19, 1 << 20, usize::MAX] {
            assert_eq!(plan.give_back(wrong), Err(NotTaken), "{wrong}");
        }
        for offset in [small, large] {
            let size = plan.size(offset);
            assert_eq!(plan.give_back(offset), size);
            assert_eq!(plan.give_back(offset), Err(NotTaken), "given back twice");
        }
        assert_eq!(plan.used(), 0);
    }

    #[test]
    fn a_full_arena_says_so_and_takes_again_what_came_back() {
        let mut plan = Plan::new(64 * PAGE);
        let taken: Vec<_> = std::iter::from_fn(|| plan.take(5000, 16)).collect();
        assert_eq!(taken.len(), 4 * (16 * PAGE / 5120));
        assert_eq!(plan.take(1, 1), None);
        for offset in taken {
            plan.give_back(offset).unwrap();
        }
        // One empty slab of the class stays.
        let large = plan.take(48 * PAGE, PAGE).unwrap();
        assert_eq!(plan.take(16 * PAGE, 1), None);
        plan.give_back(large).unwrap();
        assert!(plan.take(40 * PAGE, PAGE).is_some());
    }

    #[test]
    fn more_than_a_page_of_alignment_and_sizes_beyond_counting_are_refused() {
        let mut plan = Plan::new(1 << 20);
        assert_eq!(plan.take(1, 2 * PAGE), None);
        assert_eq!(plan.take(usize::MAX, 1), None);
        assert_eq!(plan.take(64, 64).map(|offset| offset % PAGE), Some(0));
    }

    proptest! {
        #[test]
        fn allocations_never_overlap_whatever_the_order(
            steps in proptest::collection::vec((0_usize..12_000, any::<prop::sample::Index>(), any::<bool>()), 1..400),
        ) {
            let mut plan = Plan::new(1 << 20);
            let mut live: BTreeMap<usize, usize> = BTreeMap::new();
            for (size, which, take) in steps {
                if take || live.is_empty() {
                    let Some(offset) = plan.take(size, 16) else { continue };
                    let room = plan.size(offset).unwrap();
                    prop_assert!(room >= size && offset % 16 == 0 && offset + room <= 1 << 20);
                    if let Some((before, length)) = live.range(..=offset).next_back() {
                        prop_assert!(before + length <= offset);
                    }
                    if let Some((after, _)) = live.range(offset..).next() {
                        prop_assert!(offset + room <= *after);
                    }
                    live.insert(offset, room);
                } else {
                    let offset = *which.get(&live.keys().copied().collect::<Vec<_>>());
                    let size = live.remove(&offset);
                    prop_assert_eq!(plan.give_back(offset).ok(), size);
                }
                prop_assert_eq!(plan.used(), live.values().sum::<usize>());
            }
            for offset in live.into_keys() {
                plan.give_back(offset).unwrap();
            }
            prop_assert_eq!(plan.used(), 0);
        }
    }
}

//! Pure decisions of the controllers.

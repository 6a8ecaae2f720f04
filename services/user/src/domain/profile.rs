//! A profile, and what its owner may change of it.

use vocabulary::{FieldError, UserId};

/// Characters of a first or last name, at most.
const MAX_NAME: usize = 100;

/// The profile of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Id of the account.
    pub id: UserId,
    /// Name of the account; owned by auth.
    pub username: String,
    /// E-mail address of the account; owned by auth.
    pub email: String,
    /// Empty until set.
    pub first_name: String,
    /// Empty until set.
    pub last_name: String,
    /// Starts at 1 and grows with each change.
    pub version: i64,
}

/// A requested change. Absent fields stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// New first name.
    pub first_name: Option<String>,
    /// New last name.
    pub last_name: Option<String>,
    /// Must equal the stored value, as the next two: they belong to the account.
    pub id: Option<UserId>,
    pub username: Option<String>,
    pub email: Option<String>,
}

impl Profile {
    /// The changed profile with its next version, or every invalid field.
    pub fn edit(self, edit: Edit) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut fixed = |field: &'static str, differs: bool| {
            if differs {
                let message = "belongs to the account and cannot be changed here";
                errors.push(FieldError::new(field, message));
            }
        };
        fixed("id", edit.id.is_some_and(|id| id != self.id));
        fixed(
            "username",
            edit.username.is_some_and(|name| name != self.username),
        );
        fixed("email", edit.email.is_some_and(|email| email != self.email));
        let mut name = |field: &'static str, new: Option<String>, old: String| match new
            .map(|new| name(&new))
        {
            None => old,
            Some(Some(new)) => new,
            Some(None) => {
                let message = "must be at most 100 characters, without control characters";
                errors.push(FieldError::new(field, message));
                old
            }
        };
        let first_name = name("first_name", edit.first_name, self.first_name);
        let last_name = name("last_name", edit.last_name, self.last_name);
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            first_name,
            last_name,
            version: self.version + 1,
            ..self
        })
    }
}

/// A name without surrounding spaces, if it is valid. Names of people follow no rules: only the length is
/// limited, and control characters are refused.
fn name(text: &str) -> Option<String> {
    let text = text.trim();
    let legal = text.chars().count() <= MAX_NAME && !text.chars().any(char::is_control);
    legal.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        Profile {
            id: UserId::from_uuid(uuid::Uuid::from_u128(7)),
            username: "ann".to_owned(),
            email: "ann@example.com".to_owned(),
            first_name: String::new(),
            last_name: "Lee".to_owned(),
            version: 3,
        }
    }

    fn first(name: &str) -> Edit {
        Edit {
            first_name: Some(name.to_owned()),
            ..Edit::default()
        }
    }

    #[test]
    fn what_is_absent_stays() {
        let edited = profile().edit(first(" Ann ")).unwrap();
        assert_eq!(
            (edited.first_name.as_str(), edited.last_name.as_str()),
            ("Ann", "Lee")
        );
        assert_eq!(edited.version, 4);
    }

    #[test]
    fn a_name_can_be_taken_back() {
        let edit = Edit {
            last_name: Some(String::new()),
            ..Edit::default()
        };
        assert_eq!(profile().edit(edit).unwrap().last_name, "");
    }

    #[test]
    fn names_of_many_alphabets_are_names() {
        for name in [
            "Zoë",
            "李小龍",
            "O'Brien-Smith",
            "María José",
            "Ng",
            "X Æ A-12",
        ] {
            assert!(profile().edit(first(name)).is_ok(), "{name}");
        }
    }

    #[test]
    fn long_names_and_control_characters_are_refused() {
        for name in ["x".repeat(101), "a\u{0}b".to_owned(), "a\nb".to_owned()] {
            let errors = profile().edit(first(&name)).unwrap_err();
            assert_eq!(errors[0].field, "first_name");
        }
        assert!(profile().edit(first(&"ß".repeat(100))).is_ok());
    }

    #[test]
    fn the_account_can_be_sent_back_but_not_changed() {
        let same = Edit {
            id: Some(profile().id),
            username: Some("ann".to_owned()),
            email: Some("ann@example.com".to_owned()),
            ..first("Ann")
        };
        assert!(profile().edit(same.clone()).is_ok());
        let other = Edit {
            id: Some(UserId::from_uuid(uuid::Uuid::from_u128(8))),
            username: Some("bob".to_owned()),
            email: Some("bob@example.com".to_owned()),
            ..same
        };
        let fields: Vec<_> = profile()
            .edit(other)
            .unwrap_err()
            .iter()
            .map(|e| e.field.clone())
            .collect();
        assert_eq!(fields, ["id", "username", "email"]);
    }
}

"""The words in which Loop refuses. Reference: Loop API 3.7 and 5.

The French text of the access refusal is an assumption (Loop API 10, unknown 10); hence its four
spellings: straight or curly apostrophe, with or without accents.
"""

import enum


class Language(enum.StrEnum):
    EN = "en"
    FR = "fr"
    FR_CURLY = "fr_curly"
    FR_PLAIN = "fr_plain"
    FR_CURLY_PLAIN = "fr_curly_plain"


_ACCESS = {
    Language.EN: "The collaborator {collaborator} does not have access to the folder {folder}",
    Language.FR: "le collaborateur {collaborator} n'a pas accès au dossier {folder}",
    Language.FR_CURLY: "le collaborateur {collaborator} n\u2019a pas accès au dossier {folder}",
    Language.FR_PLAIN: "le collaborateur {collaborator} n'a pas acces au dossier {folder}",
    Language.FR_CURLY_PLAIN: (
        "le collaborateur {collaborator} n\u2019a pas acces au dossier {folder}"
    ),
}
_IMPORT_EN = "An error occurred during the JSON import request: "
_IMPORT_FR = "Une erreur est survenue lors de la demande d'import JSON : "

# What Loop says where it cannot fetch a document is not known (assumption 17).
ATTACHMENT_REFUSED = "le fichier joint n'a pas pu être récupéré : le lien ne répond pas ou a expiré"


def access_refused(language: Language, collaborator: str, folder: str) -> str:
    return _ACCESS[language].format(collaborator=collaborator, folder=folder)


def folder_unknown(folder: str) -> str:
    return f"le dossier {folder} n'existe pas sur le domaine"


def of_import(message: str, language: Language = Language.FR) -> str:
    """The message as the answer to an import request words it."""
    return (_IMPORT_EN if language is Language.EN else _IMPORT_FR) + message

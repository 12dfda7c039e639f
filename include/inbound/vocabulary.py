"""Words and phrases by which people stop, start and ask for help, in plain form: no case, accents or punctuation.

Every language counts for every entity, for who was sent a Dutch message may answer in French. Whole-message words
must be unmistakable by themselves; phrases are regular expressions that may stand anywhere in a message. When in
doubt a phrase to stop is here: a wrong STOP costs one reader, a missed one breaks a promise (WhatsApp Business
Messaging Policy: every request to stop is honoured).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.replace("\n", ",").split(",") if word.strip())


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _pattern(file: str) -> re.Pattern[str]:
    """The lines of a file as one pattern; empty lines and those that begin with # say nothing."""
    lines = Path(__file__).with_name(file).read_text(encoding="utf-8").splitlines()
    return re.compile(
        r"\b(?:" + "|".join(line for line in lines if line and not line.startswith("#")) + r")\b"
    )


STOP_WORDS: Final = _words("""
    stop, stopp, stopt, stopall, stpo, sotp, stop all, stop alles, stop alle, stop tout, halt stop
    unsubscribe, unsub, unsubscribed, unsubscribe me, opt out, optout, opt me out, remove me, cancel, quit, end, leave
    take me off, delete me, no more
    stoppen, uitschrijven, schrijf uit, schrijf me uit, schrijf mij uit, uitschrijving, afmelden, meld me af
    meld mij af, afmelding, opzeggen, annuleren, annuleer, verwijder me, verwijder mij, beeindig, beeindigen, einde
    niet meer, genoeg, ik stop, ik stop ermee, nooit meer
    arret, arreter, arretez, arrete, desinscrire, desinscription, desinscrivez moi, desabonner, desabonnement
    desabonnez moi, me desabonner, me desinscrire, se desinscrire, se desabonner, desinscris moi, desabonne moi
    annuler, fin, supprimer, retirez moi, resilier, plus jamais, ca suffit
    abmelden, abbestellen, austragen, abmeldung, abbestellung, kundigen, beenden, ende, aufhoren, aufhoeren
    stoppen sie, abmelden bitte, loschen, loeschen, entfernen, schluss, nie wieder, abonnement beenden, widerruf
    baja, cancelar, darme de baja, dar de baja, parar, cancelar suscripcion
    annulla, cancellami, cancella, disiscrivimi, disiscrizione, basta
""")
"""A message that consists of one of these, and of words of politeness, is a STOP."""

LEADING: Final = _set(
    "stop stopp stoppen stoppt stopall unsubscribe unsub optout uitschrijven afmelden desinscription desinscrire "
    "desabonner desabonnement arret arreter arretez abmelden abbestellen austragen baja cancellami"
)
"""A short message that begins or ends with one of these is a STOP too: "stop nu eens", "ok dan stop"."""

STOP_PHRASES: Final = _pattern("stop_phrases.txt")

NOT_STOP: Final = _pattern("not_stop_phrases.txt")
"""What contains a word to stop and means something else.

It is taken out of the message before phrases are looked for.
"""

START_WORDS: Final = _words("""
    start, unstop, subscribe, opt in, optin, sign me up, resubscribe, start again
    aanmelden, inschrijven, starten, opnieuw aanmelden, schrijf me in, schrijf mij in, meld me aan, meld mij aan
    inscription, s inscrire, inscrire, s abonner, abonner, demarrer, commencer, inscrivez moi, abonnez moi, reprendre
    anmelden, abonnieren, starten bitte, eintragen, meldet mich an, melden sie mich an, wieder anmelden
    alta, suscribir, suscribirme, iscrivimi, iscriviti, iscrizione
""")
"""A whole message only. JA, OUI or YES answer any question, so an entity that wants them adds them itself."""

YES_WORDS: Final = _words("""
    yes, yes please, yep, yeah, sure, ok, okay, i confirm, confirm, confirmed, i agree, agreed
    ja, ja graag, jazeker, akkoord, ik bevestig, bevestig, bevestigen, bevestigd, zeker, is goed
    oui, d accord, je confirme, confirmer, bien sur, oui merci
    ja bitte, jawohl, ich bestatige, bestatigen, einverstanden, gerne
    si, si gracias, confirmo, de acuerdo, confermo, d accordo, va bene, certo
""")
"""A whole message only, and only as the answer to the question whether somebody meant their yes."""

HELP_WORDS: Final = _words("""
    help, info, hulp, aide, hilfe, ayuda, aiuto, help me, information, informatie, informationen, informations
    menu, support, sos, aidez moi, helpt, hilf mir, help mij
""")

POLITE: Final = _set(
    """
    please pls plz plse pleas kindly thanks thank thx ty you u hi hello hey dear sir madam sorry ok okay now just yes
    immediately asap already yeah guys team it this that right away
    aub ajb alstublieft alsjeblieft a b gelieve bedankt dank je jullie wel hallo hoi dag goedendag goeiedag nu graag
    gewoon direct onmiddellijk meteen ja dan eens dit maar dus gvd mvg groeten groetjes
    svp stp sil plait s il vous te plait merci bonjour bonsoir salut oui maintenant ici immediatement bien monsieur
    madame cordialement ca d accord tout de suite
    bitte danke schon guten tag hallo jetzt sofort lieber liebe ihr nun mal endlich mfg gruss
    por favor gracias hola per favore grazie ciao
    """
)
"""Words that may stand around a whole-message word without changing what it means."""

(()=>{var e=localStorage.getItem("tribe-theme");(e==="light"||e==="dark")&&(document.documentElement.dataset.theme=e);})();
